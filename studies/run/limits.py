"""Decide when a search ends, and how long one trial may take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from engines.core.results import Evaluation
from studies.belief.measurement_plan import MeasurementPlan
from studies.search.stopping import Left

Ending = Literal["complete", "exhausted", "converged", "timeout", "interrupted"]

BASELINE_SECONDS = 1800.0
SHORTEST_LIMIT_SECONDS = 60.0
# a candidate may be this many times slower to build than the baseline
TIMES_BASELINE = 20.0
# share of a limited time that is kept for the finals, and the greatest number of seconds
FINALS_SHARE = 0.25
FINALS_SECONDS = 60.0


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
    """Why a search ended, and what is left to gain; None if not asked for, or not known."""

    ending: Ending
    left: Left | None = None


@dataclass
class Stop:
    """A request to end the search after the trial in flight; `running` says that there is one."""

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
    """Return how long a trial may take; `baseline` is None while it is the trial."""
    if limits.trial_seconds is not None:
        return limits.trial_seconds
    if baseline is None:
        return BASELINE_SECONDS
    return max(SHORTEST_LIMIT_SECONDS, TIMES_BASELINE * _cost(baseline))


def _cost(evaluation: Evaluation) -> float:
    """Return the seconds that the evaluation would have taken if nothing had been made before."""
    reused = [made for made in (evaluation.graph, evaluation.engine) if made is not None and made.reused]
    making = sum(float(made.facts.get("build_seconds", 0.0)) for made in reused)
    return making + sum(evaluation.stage_seconds.values())


def searching_seconds(timeout: float | None, measurement_plan: MeasurementPlan) -> float | None:
    """Return how much of the time limit the search itself may use; `measurement_plan` fits its objectives."""
    if timeout is None or not measurement_plan.finalists:
        return timeout
    return timeout - min(FINALS_SHARE * timeout, FINALS_SECONDS)
