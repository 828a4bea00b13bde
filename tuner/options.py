"""What a search was asked to do, as the command line and the Python API give it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engines.errors import UserError
from engines.values import Policy

Mode = Literal["continue", "resume", "new"]

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class SearchOptions:
    """The options of `tuner search`, under their own names; times in seconds."""

    model: Path
    trials: int = 50
    timeout: float | None = None
    trial_timeout: float | None = None
    backend: str = "auto"
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    min_shapes: tuple[str, ...] = ()
    opt_shapes: tuple[str, ...] = ()
    max_shapes: tuple[str, ...] = ()
    inputs: Path | None = None
    precision: str | None = None
    fix: tuple[str, ...] = ()
    study: str | None = None
    mode: Mode = "continue"
    remeasure: bool = False
    workspace: Path = Path(".tuner")
    storage: str | None = None
    output: Path | None = None
    seed: int = 0
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UserError(f"--trials must be at least 1, not {self.trials}", "Trial 0 is the baseline.")
        for name, value in (("--timeout", self.timeout), ("--trial-timeout", self.trial_timeout)):
            if value is not None and value <= 0:
                raise UserError(f"{name} must be more than zero, not {value:g}", "Write 30m, 90s or 1h30m.")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed must be from 0 to {2**32 - 1}, not {self.seed}", "Choose another.")
        if self.study is not None and not self.study.strip():
            raise UserError("--study has an empty name", "Give the study a name, or leave the option out.")


def parse_seconds(text: str) -> float:
    """Seconds of `30m`, `1h30m`, `90s` or `90`; raises UserError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        raise UserError(f"cannot read the time {text!r}", "Write 30m, 90s or 1h30m.")
    return sum(float(number) * UNITS[unit or "s"] for number, unit in parts)


def storage_url(workspace: Path, storage: str | None) -> str:
    """The database to use: the workspace's own unless another is named."""
    return storage or f"sqlite:///{workspace / 'studies.db'}"
