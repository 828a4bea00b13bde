"""Plain tables on standard output."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

# whoever reads a pipe wants whole lines, and there is no terminal to fit
PIPE_WIDTH = 10_000


def new_table(*headings: str) -> Table:
    """A table without lines; no headings for one that needs none."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(headings))
    for heading in headings:
        table.add_column(heading)
    return table


def add_row(table: Table, *cells: str) -> None:
    """Adds text as it is: brackets in it are no markup."""
    table.add_row(*(Text(cell) for cell in cells))


def print_table(table: Table) -> None:
    """Fits the terminal, or writes whole lines to a pipe."""
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
