"""When a candidate that is being measured is clearly worse than the best so far."""

import math
from collections.abc import Sequence

import numpy as np

from engines.core.values import Bar
from engines.statistics.distributions import student_t
from engines.statistics.estimates import Direction

# fewer say nothing of how much blocks differ
FEWEST_RACED_BLOCKS = 3
RACING_CONFIDENCE = 0.9995
RACING_QUANTILE = 3.290527  # of the normal distribution


def should_prune(values: Sequence[float], bar: Bar, better: Direction) -> bool:
    """Whether a candidate is clearly worse than the bar, from the statistic of each block so far.

    It is when the mean logarithm is worse than the bar's by twice what Student's t over the blocks and the
    spread of the bar, in quadrature, allow at 99.95 %. Twice: blocks of one run are alike, the bar differs
    from run to run as the candidate does, the luckiest of many became the bar, and every block is a look.
    Then an equal candidate is dropped less than once in 1000 races (`python -m benchmarks.intervals`).
    """
    if len(values) < FEWEST_RACED_BLOCKS or min(values) <= 0 or bar.value <= 0:
        return False
    logs = np.log(values)
    error = float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
    worse = float(np.mean(logs)) - math.log(bar.value)
    allowed = 2 * math.hypot(
        student_t(RACING_CONFIDENCE, len(logs) - 1) * error, RACING_QUANTILE * bar.spread
    )
    return (worse if better == "minimize" else -worse) > allowed


def guarded_spread(spread: float, freedom: int) -> float:
    """A bar's spread, enlarged for the few runs that it was seen in (one less are its degrees of freedom)."""
    return spread * student_t(RACING_CONFIDENCE, freedom) / RACING_QUANTILE
