"""Plain tables on standard output."""

import sys

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# wide enough for any table: lines are broken by whoever shows them, and nothing is cut off
WIDEST = 100_000


def new_table(*headings: str) -> Table:
    """A table without lines; no headings for one that needs none."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(headings))
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def add_row(table: Table, *cells: str) -> None:
    """Adds text as it is, in one line: brackets in it are no markup."""
    table.add_row(*(Text(" ".join(cell.split())) for cell in cells))


def print_table(table: Table) -> None:
    """Prints the table in its own width."""
    console = Console(width=WIDEST)
    options = console.options
    console.width = Measurement.get(console, options, table).maximum or 1
    with console.capture() as printed:
        console.print(table, crop=False)
    text = printed.get()
    if not sys.stdout.isatty():
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    # by click and not by rich, which ends the program when the reader of a pipe has gone
    click.echo(text, nl=False)
