"""The colours of pages and charts, one pair a role: on a light ground, on a dark ground.

Figures are made in the light colours; the page exchanges each for its dark partner, so the light ones must
differ from each other. The marks are told apart by shape as well, never by colour alone.
"""

from typing import NamedTuple


class Shades(NamedTuple):
    light: str
    dark: str


PALETTE = {
    "ground": Shades("#f6f7f9", "#11151b"),
    "surface": Shades("#ffffff", "#191f28"),
    "ink": Shades("#1b2430", "#e4e9f0"),
    "muted": Shades("#57637a", "#9aa8bd"),
    "line": Shades("#dfe3ea", "#2d3644"),
    "best": Shades("#0a63b8", "#5fb0ff"),
    "baseline": Shades("#a65f00", "#f2ad4b"),
    "feasible": Shades("#5f6f87", "#8ea0ba"),
    "pruned": Shades("#7f8ca1", "#5f6d82"),
    "again": Shades("#00756b", "#4fc7b4"),
    "infeasible": Shades("#8f3f97", "#d792df"),
    "failed": Shades("#b3261e", "#ff8a80"),
    "best-soft": Shades("#e3effa", "#182f47"),
    "baseline-soft": Shades("#faf0e0", "#33291a"),
    "infeasible-soft": Shades("#f6eaf7", "#35233a"),
    "failed-soft": Shades("#fbe9e7", "#3d2221"),
}


def light(role: str) -> str:
    """Return the colour that figures are made with."""
    return PALETTE[role].light


def css_variables(theme: str) -> str:
    """Return the declarations of one theme, light or dark, for a style sheet."""
    return "".join(f"--{role}:{getattr(shades, theme)};" for role, shades in PALETTE.items())


def dark_by_light() -> dict[str, str]:
    """Return the dark colour for each light one."""
    return {shades.light: shades.dark for shades in PALETTE.values()}
