"""The types of the values that options and arguments take."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tuner import core_list, shares
from tuner.times import HOW_TO_WRITE, parse_seconds


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
            self.fail(f"{value!r} is no time. {HOW_TO_WRITE}", param, ctx)
        return seconds


class Cores(click.ParamType[tuple[int, ...]]):
    """Numbers of cores, such as 0-3 or 0,8, as `taskset` has them."""

    name = "cores"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        found = core_list.parse_cores(str(value))
        if found is None:
            self.fail(f"{value!r} names no cores. {core_list.HOW_TO_WRITE}", param, ctx)
        return found


class Share(click.ParamType[float]):
    """A share such as 1%, 0.5% or 0.01."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        share = value if isinstance(value, float) else shares.parse_share(str(value))
        if share is None:
            self.fail(f"{value!r} is no share. {shares.HOW_TO_WRITE}", param, ctx)
        return share
