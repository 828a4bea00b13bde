"""The types of the values that options and arguments take."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tuner.options import checks
from tuner.options.checks import parse_seconds


class FilePath(click.ParamType[Path]):
    """A path; empty text, which an unset variable leaves, is none."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("the path is empty", param, ctx)
        return Path(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        return [CompletionItem(incomplete, type="file")]


class Seconds(click.ParamType[float]):
    """A time such as 30m, 90s or 1h30m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = value if isinstance(value, float) else parse_seconds(str(value))
        if seconds is None:
            self.fail(f"{value!r} is not a time. {checks.TIMES}", param, ctx)
        return seconds


class Share(click.ParamType[float]):
    """A share such as 1%, 0.5% or 0.01."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        share = value if isinstance(value, float) else checks.parse_share(str(value))
        if share is None:
            self.fail(f"{value!r} is not a percentage. {checks.SHARES}", param, ctx)
        return share
