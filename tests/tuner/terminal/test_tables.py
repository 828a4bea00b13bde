import pytest

from tuner.terminal.tables import clock, one_line, plain


def test_a_text_of_many_lines_in_one() -> None:
    assert one_line(" a\n\n  b\tc\r\n") == "a b c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[0;93mwarning\x1b[m", "warning"),
        ("\x1b[2J\x1b[H\x1b[?25lx", "x"),
        ("\x1b]0;a title\x07x\x1b]8;;http://a\x1b\\y", "xy"),
        ("a\r\nb\tc\n", "a\nb\tc\n"),
        ("bell\x07 and \x1b alone", "bell and  alone"),
        ("größe", "größe"),
    ],
)
def test_control_characters_are_removed(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (0.4, "0 s"),
        (59.6, "60 s"),
        (119.0, "119 s"),
        (200.4, "3 min 20 s"),
        (7300.0, "2 h 1 min"),
    ],
)
def test_a_clock_shows_whole_units(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
