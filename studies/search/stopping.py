"""Estimate the gain that is left, and decide whether to go on searching."""

import math
from dataclasses import dataclass

from studies.belief.measurement_plan import MeasurementPlan
from studies.belief.noise import Noise

# the search ends when the probability of more gain is below one in fifty
UNLIKELY = 0.02
# upper limit of the least gain, for machines that cannot detect smaller differences
LARGEST_LEAST_GAIN = 0.05
# relative uncertainty of the detectable difference
LITTLE_LESS = 0.7
# with fewer trials an estimate of the gain that is left is not reliable
FEWEST_TRIALS = 15


@dataclass(frozen=True)
class Left:
    """The gain that a search may still find.

    `gain` is the relative improvement over the best so far that is to be expected (0.01 is 1 %), `chance` the
    probability that something is better than the best by more than `least`.
    """

    gain: float
    chance: float
    least: float = 0.0


@dataclass(frozen=True)
class Stopped:
    """A search that ended by itself because little was left to gain.

    It had so many trials, and was to go on for the gain that was `wanted`.
    """

    trials: int
    wanted: float
    left: Left

    def holds(self, trials: int, wanted: float, least: float) -> bool:
        """Return whether the stop is still valid: no new trials, no smaller gain wanted, and none detectable
        now.
        """
        return self.trials == trials and self.wanted <= wanted and LITTLE_LESS * self.left.least <= least


def least_gain(wanted: float, noise: Noise | None, measurement_plan: MeasurementPlan) -> float:
    """Return the least gain worth going on for: the wanted gain, or the difference that finals can detect if
    that is larger.

    Finals measure anew in sessions, so their means differ by less than single trials must to be told apart.
    """
    if noise is None:
        return wanted
    sessions = measurement_plan.sessions if measurement_plan.finalists else 1
    return max(wanted, min(LARGEST_LEAST_GAIN, noise.detectable / math.sqrt(sessions)))


def is_converged(left: Left | None) -> bool:
    """Return whether more than the least gain is unlikely to be found."""
    return left is not None and left.chance < UNLIKELY
