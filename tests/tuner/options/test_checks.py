import pytest

from tuner.options.checks import parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("0.5s", 0.5),
        ("30m", 1800.0),
        ("1h30m", 5400.0),
        ("1H30M", 5400.0),
        (" 2d ", 172800.0),
        ("1m30", 90.0),
        ("0", 0.0),
    ],
)
def test_times_are_read_in_every_spelling(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


NO_TIMES = ["", " ", "soon", "5x", "-5", "1 h", "1h 30m", "h", "1..5s", "1e3", "½h", "inf", "nan"]


@pytest.mark.parametrize("text", NO_TIMES)
def test_invalid_time_is_none(text: str) -> None:
    assert parse_seconds(text) is None
