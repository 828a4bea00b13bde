"""What a search was asked to do, as the command line and the Python API give it."""

import math
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Literal

from engines.core.errors import UserError
from engines.core.values import Policy
from studies.belief.rigour import Rigour
from studies.setup.naming import check_name
from tuner.options import units

Mode = Literal["continue", "resume", "new"]
ANCHOR_EVERY = 10


@dataclass(frozen=True)
class SearchOptions:
    """The options of `tuner search`, under their own names; times in seconds, `min_gain` as a share.

    None is what was left to us; see `tuner.options.budget` for what becomes of the limits.
    """

    model: Path
    trials: int | None = None
    timeout: float | None = None
    trial_timeout: float | None = None
    min_gain: float | None = None
    exhaustive: bool = False
    backend: str = "auto"
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    min_shapes: tuple[str, ...] = ()
    opt_shapes: tuple[str, ...] = ()
    max_shapes: tuple[str, ...] = ()
    inputs: Path | None = None
    calibration: str | None = None
    reference: Path | None = None
    metrics: tuple[str, ...] = ()
    keep_fp32: tuple[str, ...] = ()
    override_shapes: tuple[str, ...] = ()
    precision: str | None = None
    fix: tuple[str, ...] = ()
    plugins: tuple[Path, ...] = ()
    study: str | None = None
    mode: Mode = "continue"
    remeasure: bool = False
    prior: bool = True
    workspace: Path = Path(".tuner")
    storage: str | None = None
    output: Path | None = None
    seed: int = 0
    deadline: float | None = None
    cold: bool = False
    transfers: bool = False
    self_test: int = 5
    racing: bool = True
    finalists: int = 4
    rebuild_finalists: int = 0
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        for name in ("self_test", "finalists", "rebuild_finalists", "seed"):
            check_whole(name, getattr(self, name))
        _check_limits(self)
        times = {"timeout": self.timeout, "trial-timeout": self.trial_timeout, "deadline": self.deadline}
        for name, value in times.items():
            if value is not None:
                check_time(name, value)
        _check_counts(self)
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed must be from 0 to {2**32 - 1}, not {self.seed}", "Choose another.")
        if self.mode not in ("continue", "resume", "new"):
            raise UserError(
                f"the mode cannot be {self.mode!r}", "It is 'continue', 'resume' or 'new'; leave it out."
            )
        if self.study is not None:
            check_name(self.study)
        for path in (self.model, self.inputs, self.reference, self.workspace, self.output):
            if path is not None:
                check_path(path)

    @property
    def rigour(self) -> Rigour:
        """What is measured more than once; without a self-test, nothing tells a race from noise."""
        return Rigour(
            self_test_runs=self.self_test,
            anchor_every=ANCHOR_EVERY if self.self_test else 0,
            racing=self.racing,
            finalists=self.finalists,
            rebuilds=self.rebuild_finalists,
        )


def _check_limits(options: SearchOptions) -> None:
    if options.trials is not None:
        check_whole("trials", options.trials)
        if options.trials < 1:
            raise UserError(f"--trials must be at least 1, not {options.trials}", "Trial 0 is the baseline.")
    if options.min_gain is not None:
        check_share("min-gain", options.min_gain)
        if options.exhaustive and options.min_gain:
            raise UserError("--exhaustive tries everything, whatever --min-gain says", "Give one of them.")


def _check_counts(options: SearchOptions) -> None:
    for name in ("self_test", "finalists", "rebuild_finalists"):
        count = getattr(options, name)
        if count < 0:
            option = name.replace("_", "-")
            raise UserError(f"--{option} must be 0 or more, not {count}", "0 turns it off.")


def check_whole(name: str, count: object) -> None:
    """Raises UserError for what the Python API was given and is no whole number."""
    if not isinstance(count, Integral):
        raise UserError(f"--{name.replace('_', '-')} must be a whole number, not {count!r}", "Round it.")


def check_time(name: str, seconds: float, *, zero: bool = False) -> None:
    """Raises UserError for what is no time; `zero` says that there may be none."""
    if not (seconds > 0 or (zero and seconds == 0)) or seconds == math.inf:
        least = "zero or more" if zero else "more than zero"
        limit = f"{least} and finite" if seconds == math.inf else least
        raise UserError(f"--{name} must be {limit}, not {seconds:g}", units.TIMES)


def check_share(name: str, share: object) -> None:
    """Raises UserError for what is no share of a whole."""
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise UserError(f"{share!r} is no share", units.SHARES)
    if not 0 <= share < 1:
        raise UserError(f"--{name} must be from 0 to less than 100 %, not {100 * share:g} %", units.SHARES)


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
