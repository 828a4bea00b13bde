"""Decide when a candidate that is being measured is clearly worse than the best so far."""

import math
from collections.abc import Sequence

import numpy as np

from engines.core.values import Bar
from engines.statistics.distributions import student_t
from engines.statistics.estimates import Direction

# with fewer, the spread of the blocks is unknown
FEWEST_RACED_BLOCKS = 3
RACING_CONFIDENCE = 0.9995
RACING_QUANTILE = 3.290527  # of the normal distribution


def should_prune(values: Sequence[float], bar: Bar, better: Direction) -> bool:
    """Return whether a candidate is clearly worse than the bar, given the statistic of each block so far.

    The mean logarithm must be worse than the bar's by twice the 99.95 % limit, which is Student's t over the
    blocks and the spread of the bar, added in quadrature. Twice, because blocks of one run are correlated,
    the bar varies from run to run too, the luckiest of many became the bar, and it is tested after every
    block. An equal candidate is then pruned less than once in 1000 races (`python -m benchmarks.intervals`).
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
    """Return a bar's spread, enlarged for the few runs that it comes from: one more than `freedom`."""
    return spread * student_t(RACING_CONFIDENCE, freedom) / RACING_QUANTILE
