"""Standard output and error as they come: closed, read by nobody any more, or without some characters.

Results are printed to standard output, everything else is said on standard error. Not by click.echo, which
writes UTF-8 where the stream says ASCII.
"""

import codecs
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

# what a terminal or a file without Unicode shows instead
_PLAIN = {"×": "x", "±": "+-", "–": "-", "…": "..."}  # noqa: RUF001
_ERRORS = "tuner.plain"


def prepare() -> None:
    """Make both streams safe to print anything to."""
    codecs.register_error(_ERRORS, _plain)
    # a stream that was closed before we started is None, and print() would take the other one for it
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ERRORS)


def say(*lines: str) -> None:
    """Print to standard error; a closed stream is ignored."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Discard later writes to the stream, so that they cause no error at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def is_screen(stream: TextIO) -> bool:
    """Return whether the stream is a terminal on which something can be redrawn."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def has_color() -> bool:
    """Return whether an error may be coloured."""
    return is_screen(sys.stderr) and not os.environ.get("NO_COLOR")


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    characters: Any = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in characters), error.end
