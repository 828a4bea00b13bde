"""How a run of the command ended, and runs of it in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """How the command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line that a mistake gives, without its beginning; the command printed nothing else."""
        assert self.code == 2, self
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("error: ").rstrip("\n")


Command = Callable[..., Ended]


def start(*arguments: object, cwd: Path, **variables: str | None) -> "subprocess.Popen[str]":
    """The command in a process of its own; a variable that is None is unset."""
    return subprocess.Popen(
        [sys.executable, "-m", "tuner", *without_finals([str(argument) for argument in arguments])],
        cwd=cwd,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def environment(variables: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment, changed; without what makes Python flush every line."""
    changed = {**os.environ, "PYTHONUNBUFFERED": None, **variables}
    return {name: value for name, value in changed.items() if value is not None}


def without_finals(arguments: list[str]) -> list[str]:
    """The arguments; a search that does not say how many finalists it wants has none."""
    if arguments[:1] != ["search"] or {"--finalists", "--dry-run"} & set(arguments):
        return arguments
    return ["search", "--finalists", "0", *arguments[1:]]
