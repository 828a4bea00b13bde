"""Quantiles and probabilities of Student's t, the binomial and the normal distribution.

SciPy is imported at use: it takes 0.2 s, which `tuner --help` and the start of a worker need not pay.
"""

import math
from bisect import bisect_right
from functools import cache

import numpy as np
from numpy.typing import NDArray


def preload() -> None:
    """Import SciPy now, so that the import does not fall between two timed blocks."""
    import scipy.special  # noqa: F401


@cache
def student_t(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t distribution with that many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def most_events(samples: int, rate: float, confidence: float, effect: float = 1.0) -> int | None:
    """Return the most events among the samples that still show, at the confidence, a rate of at most `rate`.

    None if even zero events would not show it. `effect` is the design effect of correlated samples.
    """

    def chance(events: int) -> float:
        return binomial_cdf(events / effect, samples / effect, rate)

    found = bisect_right(range(samples), 1 - confidence, key=chance) - 1
    return found if found >= 0 else None


def clopper_pearson_upper(events: int, samples: int, confidence: float, effect: float = 1.0) -> float:
    """Return the highest rate that is compatible with so few events, as a fraction.

    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    from scipy.special import betaincinv

    if events >= samples:
        return 1.0
    return float(betaincinv(events / effect + 1, (samples - events) / effect, confidence))


def binomial_cdf(successes: float, trials: float, rate: float) -> float:
    """Return the probability of at most so many successes; both counts may be fractions.

    By the incomplete beta function, since `scipy.special.bdtr` takes whole numbers only: Abramowitz and
    Stegun, Handbook of Mathematical Functions, 26.5.24.
    """
    from scipy.special import betainc

    if successes < 0 or successes >= trials:
        return float(successes >= trials)
    return float(betainc(trials - successes, successes + 1, 1 - rate))


def normal_cdf(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that a standard normal variable is at most each value, within 1.5e-7.

    Abramowitz and Stegun, 7.1.26. `scipy.special.ndtr` is exact and takes a quarter of the time (3.5 against
    14.5 microseconds for 512 candidates), but the search of a seed depends on every digit: with it, a search
    of resnet50-b8-h200 expects another gain for the same trials.
    """
    distance = np.abs(values) / math.sqrt(2)
    step = 1 / (1 + 0.3275911 * distance)
    tail = step * (
        0.254829592
        + step * (-0.284496736 + step * (1.421413741 + step * (-1.453152027 + step * 1.061405429)))
    )
    beyond = tail * np.exp(-(distance**2)) / 2
    return np.where(values > 0, 1 - beyond, beyond)
