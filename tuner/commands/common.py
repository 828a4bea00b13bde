"""Options that several subcommands share, and how a command is given a list of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tuner.commands.parameter_types import FilePath, Seconds

F = TypeVar("F", bound=Callable[..., Any])


def in_order(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Adds the options and arguments in the order in which --help lists them."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def backend_option(which: str) -> Callable[[F], F]:
    """--backend; `which` says what may be named."""
    return click.option(
        "--backend",
        default="auto",
        show_default=True,
        metavar="NAME",
        help=f"{which}; with options as NAME:OPTION=VALUE,...",
    )


def shapes_option(example: str) -> Callable[[F], F]:
    """--shapes; `example` ends the sentence."""
    return click.option(
        "--shapes", multiple=True, metavar="SHAPES", help=f"Shapes of the inputs, such as {example}"
    )


def inputs_option(arrays: str) -> Callable[[F], F]:
    """--inputs; `arrays` says what is in the file."""
    return click.option(
        "--inputs", type=FilePath(), metavar="NPZ", help=f"Real inputs, {arrays}.  [default: random]"
    )


def seed_option(what: str) -> Callable[[F], F]:
    """--seed; `what` it is of, random inputs aside."""
    return click.option(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help=f"Seed of {what} and of random inputs.",
    )


trial_timeout_option = click.option(
    "--trial-timeout", type=Seconds(), help="Time of one trial.  [default: from the baseline's]"
)
self_test_option = click.option(
    "--self-test",
    type=int,
    metavar="N",
    default=5,
    show_default=True,
    help="Times that the baseline is measured again, to know the machine's noise.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the result only.")
printing_options = in_order(
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON (see docs/json.md)."),
    quiet_option,
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)
workspace_options = in_order(
    click.option(
        "--workspace",
        type=FilePath(),
        default=Path(".tuner"),
        show_default=True,
        metavar="DIR",
        help="Folder that keeps studies and engines.",
    ),
    click.option(
        "--storage",
        metavar="URL",
        help="Database: a path, sqlite:///path or postgresql://...  [default: studies.db in the workspace]",
    ),
)
stored = in_order(click.argument("study", required=False), workspace_options)
