"""Statistics of a measurement: a value with its 95 % interval.

Means, medians and rates have their interval from the method of batch means: the statistic of each timed block
is one observation, and blocks much longer than the correlation between neighbouring inferences make these
observations nearly independent, which single latencies are not. Neighbouring blocks that are still alike are
merged (see `_batch_means`). A. M. Law, Simulation Modeling and Analysis, section 9.5.3.

Percentiles have theirs from order statistics (see `latency_percentile`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engines.core.results import Block, Measurement
from engines.core.values import Samples
from engines.statistics.distributions import most_events, student_t

Direction = Literal["minimize", "maximize"]

# fewer batches give an interval that says nothing, and fewer blocks are not left
FEWEST_BATCHES = 5
# as a logarithm: a factor of about 20,000 to both sides
WIDEST = 10.0
# NVML counts energy in steps of up to 0.1 s
SHORTEST_ENERGY_SECONDS = 0.5


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None for what is exact or was seen too seldom."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def relative_half_width(self) -> float | None:
        """Half the interval's width as a share of the value; None without an interval."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


def counted(blocks: Sequence[Block]) -> Sequence[Block]:
    """The blocks that were not disturbed while there are at least five of them, else all."""
    calm = [block for block in blocks if not block.disturbed]
    return calm if len(calm) >= FEWEST_BATCHES else blocks


def sample_count(measurement: Measurement) -> int:
    """The number of inferences that the statistics are made of."""
    return len(_pooled(counted(measurement.blocks)))


def coefficient_of_variation(measurement: Measurement) -> float:
    """Standard deviation of the latencies by their mean, as trtexec has it: of the population."""
    pooled = _pooled(counted(measurement.blocks))
    return float(np.std(pooled) / np.mean(pooled))


def latency(measurement: Measurement, statistic: Callable[[Samples], float]) -> Estimate:
    """A statistic of all latencies, in milliseconds, its interval by batch means."""
    return _batch_means(counted(measurement.blocks), lambda blocks: statistic(_pooled(blocks)))


def latency_percentile(measurement: Measurement, percent: float) -> Estimate:
    """Trtexec's percentile of all latencies, in milliseconds, its interval by order statistics.

    The interval ends at the samples whose ranks a binomial distribution of the effective sample size gives:
    R. S. Woodruff, Confidence intervals for medians and other position measures, JASA 47 (1952). None where
    the samples are too few for one of its ends: 368 independent ones are the fewest for the 99th.
    """
    blocks = counted(measurement.blocks)
    ascending = np.sort(_pooled(blocks))
    value, share = percentile(percent)(ascending), percent / 100
    effect = design_effect([block.latency_ms for block in blocks], percent)
    below = most_events(len(ascending), share, 0.975, effect)
    above = most_events(len(ascending), 1 - share, 0.975, effect)
    if below is None or above is None or len(blocks) < 2:
        return Estimate(value)
    return Estimate(value, float(ascending[below]), float(ascending[-1 - above]))


def cold(measurement: Measurement) -> Estimate | None:
    """The median latency with caches flushed, in milliseconds; None where it was not measured."""
    return latency(replace(measurement, blocks=measurement.cold), median) if measurement.cold else None


def throughput(measurement: Measurement) -> Estimate:
    """Samples per second over all streams: inferences times batch, by the span of the timed blocks."""

    def of(blocks: Sequence[Block]) -> float:
        return _inferences(blocks) * measurement.batch / _seconds(blocks)

    return _batch_means(counted(measurement.blocks), of)


def energy(measurement: Measurement) -> Estimate | None:
    """Millijoules per inference; None unless every block has its energy and all are long enough for it."""
    blocks = counted(measurement.blocks)
    if _seconds(blocks) < SHORTEST_ENERGY_SECONDS or any("energy_mj" not in one.telemetry for one in blocks):
        return None
    return _batch_means(
        blocks, lambda some: sum(block.telemetry["energy_mj"] for block in some) / _inferences(some)
    )


def state(measurement: Measurement, name: str) -> Estimate | None:
    """The mean over the blocks of what telemetry says under the name; None where it says nothing."""
    told = [block for block in counted(measurement.blocks) if name in block.telemetry]
    if not told:
        return None
    return _batch_means(told, lambda some: float(np.mean([block.telemetry[name] for block in some])))


def median(samples: Samples) -> float:
    """The middle value, or the mean of the middle two, as trtexec has it."""
    return float(np.median(samples))


def mean(samples: Samples) -> float:
    return float(np.mean(samples))


def percentile(percent: float) -> Callable[[Samples], float]:
    """Trtexec's percentile: of the ascending samples the element max(n - 1 - int((1 - p / 100) * n), 0).

    In single precision, which decides between neighbours: p99 of 100 samples is the largest.
    """
    single = np.float32

    def of(samples: Samples) -> float:
        excluded = int((single(1) - single(percent) / single(100)) * single(len(samples)))
        index = max(len(samples) - 1 - excluded, 0)
        return float(np.partition(samples, index)[index])

    return of


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """The quotient of two independent estimates, its interval by error propagation of the logarithms."""
    value = numerator.value / denominator.value
    left, right = numerator.relative_half_width, denominator.relative_half_width
    if left is None or right is None or value <= 0:
        return Estimate(value)
    return with_log_half_width(value, math.hypot(left, right))


def weighted(estimates: Sequence[Estimate], weights: Sequence[float], *, harmonic: bool = False) -> Estimate:
    """The mean of independent estimates by weight, its interval by error propagation.

    `harmonic` is for rates, whose reciprocals are what adds up. One estimate is given back as it is; without
    an interval of each there is none.
    """
    if len(estimates) == 1:
        return estimates[0]
    total = sum(weights)
    if not harmonic:
        value = sum(weight * one.value for weight, one in zip(weights, estimates, strict=True)) / total
        slopes = [weight / total for weight in weights]
    else:
        value = total / sum(weight / one.value for weight, one in zip(weights, estimates, strict=True))
        slopes = [
            weight / total * (value / one.value) ** 2 for weight, one in zip(weights, estimates, strict=True)
        ]
    if any(one.low is None or one.high is None for one in estimates):
        return Estimate(value)
    halves = [(one.high - one.low) / 2 for one in estimates if one.low is not None and one.high is not None]
    half_width = math.hypot(*(slope * half for slope, half in zip(slopes, halves, strict=True)))
    return Estimate(value, value - half_width, value + half_width)


def with_log_half_width(value: float, half_width: float) -> Estimate:
    """The value with an interval that is symmetric in the logarithm."""
    # beyond this the interval says that nothing is known, and at some point it overflows
    half_width = min(half_width, WIDEST)
    return Estimate(value, value * math.exp(-half_width), value * math.exp(half_width))


def design_effect(batches: Sequence[Samples], percent: float) -> float:
    """By what factor fewer independent samples would tell as much of the percentile; at least 1.

    The variance of the share of samples up to the percentile, by batch means, over that of independent
    samples, enlarged for the few batches it comes from: E. L. Korn and B. I. Graubard, Confidence intervals
    for proportions with small expected number of positive counts estimated from survey data, Survey
    Methodology 24 (1998). Nothing is known of what did not happen in any batch, or in one batch alone.
    """
    pooled = np.concatenate(batches)
    bound = percentile(percent)(pooled)
    sizes = np.array([len(batch) for batch in batches])
    share = float(np.mean(pooled <= bound))
    independent = share * (1 - share) / len(pooled)
    if len(batches) < 2 or independent == 0:
        return 1.0
    off = np.array([np.count_nonzero(batch <= bound) for batch in batches]) - share * sizes
    count = len(batches)
    variance = count / (count - 1) * float(off @ off) / len(pooled) ** 2
    few = student_t(0.975, count - 1) / student_t(0.975, max(len(pooled) - 1, count - 1))
    return max(1.0, variance / independent * few**2)


def _batch_means(blocks: Sequence[Block], of: Callable[[Sequence[Block]], float]) -> Estimate:
    """The value of all blocks, and its interval by Student's t over batches of neighbouring ones.

    Blocks are batches at first; there are half as many, down to five, for as long as neighbours are alike.
    G. S. Fishman and L. S. Yarberry, An implementation of the batch means method, INFORMS Journal on
    Computing 9 (1997); C. Alexopoulos and A. F. Seila, Output data analysis, Handbook of Simulation (1998).
    """
    value, count = of(blocks), len(blocks)
    if count < 2:
        return Estimate(value)
    observed = [of([block]) for block in blocks]
    while count >= 2 * FEWEST_BATCHES and _are_alike(observed):
        count //= 2
        groups = np.array_split(np.arange(len(blocks)), count)
        observed = [of([blocks[position] for position in group]) for group in groups]
    half_width = student_t(0.975, count - 1) * float(np.std(observed, ddof=1)) / math.sqrt(count)
    return Estimate(value, value - half_width, value + half_width)


def _are_alike(observed: Sequence[float]) -> bool:
    """Von Neumann's ratio, as in LABATCH, is beyond what one in five independent series has.

    So lax a level costs independent blocks 3 to 5 % of width, and gains more of correlated ones' coverage.
    """
    count = len(observed)
    squares = float(np.var(observed)) * count
    if squares == 0:
        return False
    alike = 1 - float(np.sum(np.diff(observed) ** 2)) / (2 * squares)
    return alike > 0.8416 * math.sqrt((count - 2) / (count**2 - 1))


def _pooled(blocks: Sequence[Block]) -> Samples:
    return np.concatenate([block.latency_ms for block in blocks])


def _inferences(blocks: Sequence[Block]) -> int:
    return sum(len(block.latency_ms) for block in blocks)


def _seconds(blocks: Sequence[Block]) -> float:
    return sum(block.span_seconds for block in blocks)
