"""How much the same engine differs from one measurement to the next: the A/A self-test.

The baseline is measured again and again as if it were different candidates: loaded, warmed up and timed anew.
What differs then is no property of an engine, and no smaller difference between engines can be believed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.statistics.distributions import student_t
from engines.statistics.estimates import WIDEST, Estimate, with_log_half_width

# fewer runs say next to nothing of their spread
FEWEST_RUNS = 3


@dataclass(frozen=True)
class Noise:
    """What repeated measurements of one engine showed.

    `spread` is the standard deviation of the logarithm from run to run, `between` the part of it that a
    single measurement cannot see in its own blocks, and `detectable` the smallest relative difference
    between two engines, measured once each, that is found in 19 of 20 cases.
    """

    spread: float
    between: float
    runs: int
    detectable: float

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the spread."""
        return self.runs - 1


def noise_of(values: Sequence[Estimate]) -> Noise | None:
    """The noise that repeated measurements show; None for fewer than three positive values."""
    usable = [one for one in values if one.value > 0 and math.isfinite(one.value)]
    if len(usable) < FEWEST_RUNS:
        return None
    spread = float(np.std(np.log([one.value for one in usable]), ddof=1))
    # a half-width is about two standard errors
    within = np.mean([((one.relative_half_width or 0.0) / 2) ** 2 for one in usable])
    between = math.sqrt(max(0.0, spread**2 - float(within)))
    return Noise(spread, between, len(usable), math.expm1(min(WIDEST, _detectable(spread, len(usable) - 1))))


def widened(estimate: Estimate, noise: Noise | None) -> Estimate:
    """The estimate with an interval that also allows for what differs from run to run.

    Half-widths, in the logarithm, add in quadrature. As it is without noise or without an interval.
    """
    half_width = estimate.relative_half_width
    if noise is None or half_width is None or estimate.value <= 0:
        return estimate
    total = math.hypot(half_width, student_t(0.975, noise.freedom) * noise.between)
    return with_log_half_width(estimate.value, total)


def _detectable(spread: float, freedom: int) -> float:
    """Difference of logarithms that two single runs show at the 5 % level with a power of 95 %.

    J. Cohen, Statistical Power Analysis, 2.4, with Student's t for both quantiles.
    """
    return (student_t(0.975, freedom) + student_t(0.95, freedom)) * spread * math.sqrt(2)
