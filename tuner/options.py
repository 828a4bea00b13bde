"""What a search was asked to do, as the command line and the Python API give it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engines.errors import UserError
from engines.values import Policy
from studies.naming import check_name
from tuner.times import HOW_TO_WRITE

Mode = Literal["continue", "resume", "new"]


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
    plugins: tuple[Path, ...] = ()
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
            if value is not None and not value > 0:
                raise UserError(f"{name} must be more than zero, not {value:g}", HOW_TO_WRITE)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed must be from 0 to {2**32 - 1}, not {self.seed}", "Choose another.")
        if self.mode not in ("continue", "resume", "new"):
            raise UserError(
                f"the mode cannot be {self.mode!r}", "It is 'continue', 'resume' or 'new'; leave it out."
            )
        if self.study is not None:
            check_name(self.study)
        for path in (self.model, self.inputs, self.workspace, self.output):
            if path is not None:
                check_path(path)


def check_path(path: Path) -> None:
    """Raises UserError for a path that could not be stored or shown."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the path {str(path)!a} is not text in UTF-8", "Rename the file or folder."
        ) from error
    if "\0" in str(path):
        raise UserError(f"the path {str(path)!r} has a zero byte in it", "Give the path of a file.")


def storage_url(workspace: Path, storage: str | None) -> str:
    """The database to use, a path or a URL: the workspace's own unless another is named."""
    # as a path and not as a URL, in which %, ? and # would mean something else
    return str(workspace / "studies.db") if storage is None else storage
