"""Options and arguments that several subcommands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def workspace_options(function: F) -> F:
    """Adds --workspace and --storage."""
    folder = click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        default=Path(".tuner"),
        show_default=True,
        metavar="DIR",
        help="Folder that keeps studies and engines.",
    )
    database = click.option(
        "--storage", metavar="URL", help="Database.  [default: studies.db in the workspace]"
    )
    return folder(database(function))


def stored(function: F) -> F:
    """Adds STUDY, --workspace and --storage."""
    return click.argument("study", required=False)(workspace_options(function))
