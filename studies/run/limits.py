"""When a search ends, and how long one trial may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from engines.core.results import Evaluation
from studies.search.stopping import Left

Ending = Literal["complete", "exhausted", "converged", "timeout", "interrupted"]

BASELINE_SECONDS = 1800.0
SHORTEST_LIMIT_SECONDS = 60.0
# a candidate may be slower to build than the baseline, but not without end
TIMES_BASELINE = 20.0


@dataclass(frozen=True)
class Limits:
    """When to end: trials in all, seconds in this run (None for no end), seconds a trial (None to derive),
    and the least relative improvement worth going on for (None for any).
    """

    trials: int
    seconds: float | None = None
    trial_seconds: float | None = None
    min_gain: float | None = None


@dataclass(frozen=True)
class Ended:
    """Why a search ended, and what is left to gain; None where it was not asked for, or cannot be told."""

    ending: Ending
    left: Left | None = None


@dataclass
class Stop:
    """Set by whoever wants the search to end after the trial in flight; `running` says that there is one."""

    requested: bool = False
    running: bool = False

    @contextmanager
    def while_running(self) -> Iterator[None]:
        self.running = True
        try:
            yield
        finally:
            self.running = False


def limit_seconds(limits: Limits, baseline: Evaluation | None) -> float:
    """How long a trial may take; `baseline` is None while it is the trial."""
    if limits.trial_seconds is not None:
        return limits.trial_seconds
    if baseline is None:
        return BASELINE_SECONDS
    return max(SHORTEST_LIMIT_SECONDS, TIMES_BASELINE * _cost(baseline))


def _cost(evaluation: Evaluation) -> float:
    """Seconds that the evaluation would have taken had nothing been made before."""
    reused = [made for made in (evaluation.graph, evaluation.engine) if made is not None and made.reused]
    making = sum(float(made.facts.get("build_seconds", 0.0)) for made in reused)
    return making + sum(evaluation.stage_seconds.values())
