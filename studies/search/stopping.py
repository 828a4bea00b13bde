"""What is left to gain by searching on, and whether that is worth it."""

import math
from dataclasses import dataclass

from studies.belief.noise import Noise
from studies.belief.rigour import Rigour

# the search ends when more is to be found in one case of fifty only
UNLIKELY = 0.02
# on a machine that tells less apart than this, more is still worth looking for
MOST_UNTOLD = 0.05
# what a machine can tell apart is itself known no better than so
LITTLE_LESS = 0.7
# before, too little is known for an estimate of what is not
FEWEST_TRIALS = 15


@dataclass(frozen=True)
class Left:
    """What a search may still find.

    `gain` is the relative improvement over the best so far that is to be expected (0.01 is 1 %), `chance` the
    probability that something is better than the best by more than `least`.
    """

    gain: float
    chance: float
    least: float = 0.0


@dataclass(frozen=True)
class Stopped:
    """That a search ended of its own accord, as little was left to gain.

    It had so many trials, and was to go on for the gain that was `wanted`.
    """

    trials: int
    wanted: float
    left: Left

    def holds(self, trials: int, wanted: float, least: float) -> bool:
        """Whether nothing happened since, and no smaller gain is wanted or can be told apart now."""
        return self.trials == trials and self.wanted <= wanted and LITTLE_LESS * self.left.least <= least


def least_gain(wanted: float, noise: Noise | None, rigour: Rigour) -> float:
    """The least gain worth going on for: what is wanted, or what finals can tell apart if that is more.

    Finals measure anew in sessions, so their means differ by less than single trials must to be told apart.
    """
    if noise is None:
        return wanted
    sessions = rigour.sessions if rigour.finalists else 1
    return max(wanted, min(MOST_UNTOLD, noise.detectable / math.sqrt(sessions)))


def is_converged(left: Left | None) -> bool:
    """Whether it is unlikely that more than the least gain is still to be found."""
    return left is not None and left.chance < UNLIKELY
