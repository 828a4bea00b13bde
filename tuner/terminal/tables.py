"""Plain tables on standard output, and texts of others made fit for a line."""

import io
import re
import sys

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dashboards.words import formats
from tuner.terminal import streams

# what colours a terminal, moves its cursor or names its window
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def one_line(text: str) -> str:
    """Return the text as one line."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Return the text without control characters and escape sequences."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def clock(seconds: float) -> str:
    """Whole seconds, minutes or hours."""
    return formats.duration(round(seconds)) if seconds >= 120 else f"{seconds:.0f} s"


# wide enough for any table: lines are broken by whoever shows them, and nothing is cut off
WIDEST = 100_000


def new_table(*headings: str) -> Table:
    """Return a table without lines; no headings for one that needs none."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(headings))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add text as it is, in one line: brackets in it are not markup."""
    table.add_row(*(Text(" ".join(cell.split())) for cell in cells))


def print_table(table: Table) -> None:
    """Print the table in its own width."""
    # rich is to write to no pipe of ours: it ends the program when the reader has gone
    text = io.StringIO()
    console = Console(file=text, width=WIDEST, force_terminal=streams.is_screen(sys.stdout))
    console.width = Measurement.get(console, console.options, table).maximum or 1
    console.print(table, crop=False)
    for line in text.getvalue().splitlines():
        print(line.rstrip())
