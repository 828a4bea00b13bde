import pytest

from dashboards.html.palette import PALETTE, css_variables, dark_by_light, light


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "role", ["ink", "muted", "best", "baseline", "feasible", "infeasible", "failed", "again"]
)
@pytest.mark.parametrize("ground", ["ground", "surface"])
def test_text_and_marks_stand_out_from_their_ground(theme: str, role: str, ground: str) -> None:
    assert contrast(getattr(PALETTE[role], theme), getattr(PALETTE[ground], theme)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["ground", "surface"])
def test_pale_marks_are_visible(theme: str, ground: str) -> None:
    assert 3 <= contrast(getattr(PALETTE["pruned"], theme), getattr(PALETTE[ground], theme)) < 4.5


def test_light_colours_differ_so_that_each_has_one_dark_partner() -> None:
    assert len(dark_by_light()) == len(PALETTE)
    assert dark_by_light()[light("best")] == PALETTE["best"].dark


def test_style_sheets_get_every_colour() -> None:
    assert f"--best-soft:{PALETTE['best-soft'].dark};" in css_variables("dark")
    assert css_variables("light").count("--") == len(PALETTE)
