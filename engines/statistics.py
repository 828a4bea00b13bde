"""Statistics of a measurement: a value with its 95 % interval.

The interval comes from the method of batch means: the statistic of each timed block is one observation, and
blocks much longer than the correlation between neighbouring inferences make these observations nearly
independent, which single latencies are not. A. M. Law, Simulation Modeling and Analysis, section 9.5.3.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engines.values import Block, Measurement, Samples


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None for what is exact or was seen only once."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def relative_half_width(self) -> float | None:
        """Half the interval's width as a share of the value; None without an interval."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


def latency(measurement: Measurement, statistic: Callable[[Samples], float]) -> Estimate:
    """A statistic of all latencies, in milliseconds."""
    pooled = np.concatenate([block.latency_ms for block in measurement.blocks])
    return _batch_means(statistic(pooled), [statistic(block.latency_ms) for block in measurement.blocks])


def throughput(measurement: Measurement) -> Estimate:
    """Samples per second over all streams: inferences times batch, by the span of the timed blocks."""

    def of(blocks: Sequence[Block]) -> float:
        runs = sum(len(block.latency_ms) for block in blocks)
        return runs * measurement.batch / sum(block.span_seconds for block in blocks)

    return _batch_means(of(measurement.blocks), [of([block]) for block in measurement.blocks])


def median(samples: Samples) -> float:
    """The middle value, or the mean of the middle two, as trtexec has it."""
    return float(np.median(samples))


def mean(samples: Samples) -> float:
    return float(np.mean(samples))


def percentile(percent: float) -> Callable[[Samples], float]:
    """Trtexec's percentile: of the ascending samples the element max(n - 1 - int((1 - p / 100) * n), 0)."""

    def of(samples: Samples) -> float:
        index = max(len(samples) - 1 - int((1 - percent / 100) * len(samples)), 0)
        return float(np.partition(samples, index)[index])

    return of


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """The quotient of two independent estimates, its interval by error propagation of the logarithms."""
    value = numerator.value / denominator.value
    left, right = numerator.relative_half_width, denominator.relative_half_width
    if left is None or right is None or value <= 0:
        return Estimate(value)
    spread = math.hypot(left, right)
    return Estimate(value, value * math.exp(-spread), value * math.exp(spread))


def _batch_means(value: float, batches: Sequence[float]) -> Estimate:
    count = len(batches)
    if count < 2:
        return Estimate(value)
    half_width = student_t_975(count - 1) * float(np.std(batches, ddof=1)) / math.sqrt(count)
    return Estimate(value, value - half_width, value + half_width)


def student_t_975(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, within 0.2 %.

    Tabled for 1 and 2 degrees of freedom; else the expansion in Abramowitz and Stegun, Handbook of
    Mathematical Functions, 26.7.5, of the normal quantile.
    """
    if freedom <= 2:
        return {1: 12.7062, 2: 4.30265}[freedom]
    x = 1.959963985
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
