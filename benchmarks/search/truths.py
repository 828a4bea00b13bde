"""What is truly so of the places of a landscape, as far as all of their runs together tell.

A search never sees it: it is what searches are judged by, and what measurements are drawn with.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.places import EXACT, Floats, Place, Run
from studies.core.records import Constraint, Objective
from studies.search.observations import margin

# the standard deviation of a normal distribution by its median absolute deviation
NORMAL_MAD = 1.4826
# an error below this is as good as none
LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class Truths:
    """The truth about places, for what is asked for and limited."""

    places: tuple[Place, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]

    @property
    def metrics(self) -> list[str]:
        """What is asked for and limited."""
        asked, limited = ([one.metric for one in some] for some in (self.objectives, self.constraints))
        return list(dict.fromkeys([*asked, *limited]))

    @cached_property
    def values(self) -> dict[str, Floats]:
        """The true value of each metric at every place; not a number where it is not known."""
        return {name: np.array([_truth(one.runs, name) for one in self.places]) for name in self.metrics}

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Which places truly have every objective and keep every constraint."""
        known = [np.isfinite(self.values[one.metric]) for one in self.objectives]
        kept = [
            np.array([is_kept(margin_of(one, value)) for value in self.values[one.metric]])
            for one in self.constraints
        ]
        return np.asarray(np.logical_and.reduce([*known, *kept]))

    @cached_property
    def gaps(self) -> Floats:
        """By how many percent the first objective of each place is worse than the best feasible one's.

        Of infeasible places, as of none found at all: that of the worst feasible one.
        """
        logs = self.losses(0)
        best, worst = logs[self.feasible].min(), logs[self.feasible].max()
        return np.asarray(100 * np.expm1(np.where(self.feasible, logs, worst) - best))

    @cached_property
    def close(self) -> float:
        """A gap in percent that is as good as none: 1, or twice what the truth of the best may be off by.

        The standard error of a median is 1.25 times that of a mean.
        """
        best = int(np.argmin(np.where(self.feasible, self.losses(0), math.inf)))
        residuals = self.residuals[self.objectives[0].metric]
        spread = NORMAL_MAD * float(np.median(np.abs(residuals))) if len(residuals) else 0.0
        return max(1.0, 100 * 2 * 1.25 * spread / math.sqrt(len(self.places[best].runs)))

    def losses(self, objective: int) -> Floats:
        """The logarithm of an objective's true values, so turned that less is better."""
        one = self.objectives[objective]
        logs = np.log(np.maximum(self.values[one.metric], LEAST))
        return np.asarray(logs if one.direction == "minimize" else -logs)

    @cached_property
    def between(self) -> dict[str, float]:
        """How much each metric differs from run to run beyond what its blocks show, as a logarithm."""
        found = {}
        for name, residuals in self.residuals.items():
            runs = [run.metrics[name] for one in self.places for run in one.runs if name in run.metrics]
            within = [
                one.deviations.var() / max(1, len(one.deviations) - 1) for one in runs if len(one.deviations)
            ]
            total = float(np.mean(residuals**2)) if len(residuals) else 0.0
            found[name] = math.sqrt(max(0.0, total - float(np.mean(within or [0.0]))))
        return found

    @cached_property
    def residuals(self) -> dict[str, Floats]:
        """By how much single runs of a candidate differ from its mean, freed of that mean's own error."""
        return {
            name: np.array([x for one in self.places for x in _residuals(one, name)]) for name in self.metrics
        }


def is_kept(margin: float | None) -> bool:
    return margin is not None and margin <= 0


def margin_of(constraint: Constraint, value: float | None) -> float | None:
    """How far a value is beyond the constraint; None where there is none."""
    if value is None or not math.isfinite(value):
        return None
    return margin(value, constraint.limit, constraint.operator == "<=")


def _truth(runs: Sequence[Run], metric: str) -> float:
    """The median over runs, since single ones are disturbed; the mean of what does not vary."""
    series = [run.metrics[metric] for run in runs if metric in run.metrics]
    if not series:
        return math.nan
    values = np.array([one.value for one in series])
    varies = any(len(one.deviations) for one in series)
    return float(np.exp(np.median(np.log(values))) if varies else np.mean(values))


def _residuals(place: Place, metric: str) -> Floats:
    series = [run.metrics[metric] for run in place.runs if metric in run.metrics]
    if len(series) < 2 or not any(len(one.deviations) for one in series):
        return EXACT
    logs = np.log([one.value for one in series])
    return np.asarray((logs - np.median(logs)) * math.sqrt(len(logs) / (len(logs) - 1)))
