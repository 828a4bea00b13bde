"""Options that several subcommands share, and how a command is given a list of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tuner.commands.click_options import option
from tuner.options.search import Place

F = TypeVar("F", bound=Callable[..., Any])


def in_order(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Adds the options and arguments in the order in which --help lists them."""

    def add(function: F) -> F:
        for one in reversed(options):
            function = one(function)
        return function

    return add


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the result only.")
printing_options = in_order(
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON (see docs/json.md)."),
    quiet_option,
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)
workspace_options = in_order(option(Place, "workspace"), option(Place, "storage"))
stored = in_order(click.argument("study", required=False), workspace_options)
