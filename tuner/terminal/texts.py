"""Texts of others made fit for a line or a terminal."""

import re

from dashboards.words import formats

# what colours a terminal, moves its cursor or names its window
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def one_line(text: str) -> str:
    """The text in a line; a vendor's message may have many."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """The text without anything that a terminal would obey."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def clock(seconds: float) -> str:
    """Whole seconds, minutes or hours."""
    return formats.duration(round(seconds)) if seconds >= 120 else f"{seconds:.0f} s"
