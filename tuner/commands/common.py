"""Options and arguments that several subcommands share, and the types of their values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tuner import shares
from tuner.times import HOW_TO_WRITE, parse_seconds

F = TypeVar("F", bound=Callable[..., Any])


class FilePath(click.ParamType[Path]):
    """A path; empty text, which an unset variable leaves, is none."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("the path is empty", param, ctx)
        return Path(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem[str]]:
        return [click.shell_completion.CompletionItem(incomplete, type="file")]


class Seconds(click.ParamType[float]):
    """A time such as 30m, 90s or 1h30m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = value if isinstance(value, float) else parse_seconds(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no time. {HOW_TO_WRITE}", param, ctx)
        return seconds


class Share(click.ParamType[float]):
    """A share such as 1%, 0.5% or 0.01."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        share = value if isinstance(value, float) else shares.parse_share(str(value))
        if share is None:
            self.fail(f"{value!r} is no share. {shares.HOW_TO_WRITE}", param, ctx)
        return share


def workspace_options(function: F) -> F:
    """Adds --workspace and --storage."""
    folder = click.option(
        "--workspace",
        type=FilePath(),
        default=Path(".tuner"),
        show_default=True,
        metavar="DIR",
        help="Folder that keeps studies and engines.",
    )
    database = click.option(
        "--storage",
        metavar="URL",
        help="Database: a path, sqlite:///path or postgresql://...  [default: studies.db in the workspace]",
    )
    return folder(database(function))


def stored(function: F) -> F:
    """Adds STUDY, --workspace and --storage."""
    return click.argument("study", required=False)(workspace_options(function))
