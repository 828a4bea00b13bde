"""Student's t, normal and binomial distributions, exact enough for intervals, without a library for them."""

import math
from bisect import bisect_right
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def student_t(probability: float, freedom: int) -> float:
    """The quantile of Student's t: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.1."""
    if probability < 0.5:
        return -student_t(1 - probability, freedom)

    def share(angle: float) -> float:
        return 1 - _incomplete_beta(freedom / 2, 0.5, math.cos(angle) ** 2) / 2

    return math.sqrt(freedom) * math.tan(_solve(share, probability, math.pi / 2))


def most_events(samples: int, rate: float, confidence: float, effect: float = 1.0) -> int | None:
    """The most events among the samples that still show, with that confidence, a rate of at most `rate`.

    None where not even their absence would. `effect` is the design effect of correlated samples.
    """

    def chance(events: int) -> float:
        return binomial_cdf(events / effect, samples / effect, rate)

    found = bisect_right(range(samples), 1 - confidence, key=chance) - 1
    return found if found >= 0 else None


def clopper_pearson_upper(events: int, samples: int, confidence: float, effect: float = 1.0) -> float:
    """The highest rate that so few events are compatible with.

    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    if events >= samples:
        return 1.0
    return _solve(lambda rate: 1 - binomial_cdf(events / effect, samples / effect, rate), confidence, 1.0)


def binomial_cdf(successes: float, trials: float, rate: float) -> float:
    """The probability of at most so many successes, by Abramowitz and Stegun, 26.5.24; fractions allowed."""
    if successes < 0 or successes >= trials:
        return float(successes >= trials)
    return _incomplete_beta(trials - successes, successes + 1, 1 - rate)


def _solve(rising: Callable[[float], float], target: float, high: float) -> float:
    """Where a rising function between 0 and `high` reaches the target, by bisection."""
    low = 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function by its continued fraction.

    W. H. Press and others, Numerical Recipes, section 6.4, with the method of Lentz.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    above, below = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found = below
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            below, above = 1 / (1 + term * below), 1 + term / above
            found *= below * above
        if abs(below * above - 1) < 1e-14:
            break
    return math.exp(scale) * found / a


def normal_cdf(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that a standard normal variable is at most each value, right to 1.5e-7.

    Abramowitz and Stegun, 7.1.26.
    """
    distance = np.abs(values) / math.sqrt(2)
    step = 1 / (1 + 0.3275911 * distance)
    tail = step * (
        0.254829592
        + step * (-0.284496736 + step * (1.421413741 + step * (-1.453152027 + step * 1.061405429)))
    )
    beyond = tail * np.exp(-(distance**2)) / 2
    return np.where(values > 0, 1 - beyond, beyond)
