"""Statistics of a measurement: a value with its 95 % interval.

Means, medians and rates get their interval from the method of batch means: the statistic of each timed block
is one observation. Blocks are much longer than the correlation between neighbouring inferences, so these
observations are nearly independent, which single latencies are
not. Neighbouring blocks that are still alike are
merged (see `_batch_means`). A. M. Law, Simulation Modeling and Analysis, section 9.5.3.

Percentiles get theirs from order statistics (see `latency_percentile`).
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

# with fewer batches the interval is too wide to be useful, so blocks are not merged or dropped below this
FEWEST_BATCHES = 5
# as a logarithm: a factor of about 20,000 on both sides
WIDEST = 10.0
# NVML counts energy in steps of up to 0.1 s
SHORTEST_ENERGY_SECONDS = 0.5


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval; `low` and `high` are None if it is exact or the samples are too few."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def relative_half_width(self) -> float | None:
        """Half the interval's width divided by the value; None without an interval."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


def counted(blocks: Sequence[Block]) -> Sequence[Block]:
    """Return the undisturbed blocks if there are at least five of them, else all."""
    calm = [block for block in blocks if not block.disturbed]
    return calm if len(calm) >= FEWEST_BATCHES else blocks


def sample_count(measurement: Measurement) -> int:
    """Return the number of inferences that the statistics are computed from."""
    return len(_pooled(counted(measurement.blocks)))


def coefficient_of_variation(measurement: Measurement) -> float:
    """Return the latencies' population standard deviation divided by their mean, as trtexec does."""
    pooled = _pooled(counted(measurement.blocks))
    return float(np.std(pooled) / np.mean(pooled))


def latency(measurement: Measurement, statistic: Callable[[Samples], float]) -> Estimate:
    """Return a statistic of all latencies in milliseconds, its interval by batch means."""
    return _batch_means(counted(measurement.blocks), lambda blocks: statistic(_pooled(blocks)))


def latency_percentile(measurement: Measurement, percent: float) -> Estimate:
    """Return trtexec's percentile of all latencies in milliseconds, its interval by order statistics.

    The ends of the interval are samples, whose ranks follow from a binomial distribution of the effective
    sample size: R. S. Woodruff, Confidence intervals for medians and other position measures, JASA 47 (1952).
    There is no interval if the samples are too few: the 99th percentile needs 368 independent ones.
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
    """Return the median latency with caches flushed, in milliseconds; None if it was not measured."""
    return latency(replace(measurement, blocks=measurement.cold), median) if measurement.cold else None


def throughput(measurement: Measurement) -> Estimate:
    """Return samples per second over all streams: inferences times batch, divided by the blocks' span."""

    def of(blocks: Sequence[Block]) -> float:
        return _inferences(blocks) * measurement.batch / _seconds(blocks)

    return _batch_means(counted(measurement.blocks), of)


def energy(measurement: Measurement) -> Estimate | None:
    """Return millijoules per inference; None unless every block has its energy and all are long enough."""
    blocks = counted(measurement.blocks)
    if _seconds(blocks) < SHORTEST_ENERGY_SECONDS or any("energy_mj" not in one.telemetry for one in blocks):
        return None
    return _batch_means(
        blocks, lambda some: sum(block.telemetry["energy_mj"] for block in some) / _inferences(some)
    )


def state(measurement: Measurement, name: str) -> Estimate | None:
    """Return the mean of a telemetry state over the blocks; None if no block has it."""
    told = [block for block in counted(measurement.blocks) if name in block.telemetry]
    if not told:
        return None
    return _batch_means(told, lambda some: float(np.mean([block.telemetry[name] for block in some])))


def median(samples: Samples) -> float:
    """Return the middle value, or the mean of the middle two, as trtexec does."""
    return float(np.median(samples))


def mean(samples: Samples) -> float:
    return float(np.mean(samples))


def percentile(percent: float) -> Callable[[Samples], float]:
    """Return trtexec's percentile: the element max(n - 1 - int((1 - p / 100) * n), 0) of the sorted samples.

    Computed in single precision, which decides between neighbours: p99 of 100 samples is the largest.
    """
    single = np.float32

    def of(samples: Samples) -> float:
        excluded = int((single(1) - single(percent) / single(100)) * single(len(samples)))
        index = max(len(samples) - 1 - excluded, 0)
        return float(np.partition(samples, index)[index])

    return of


def ratio(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Return the quotient of two independent estimates, its interval by error propagation of logarithms."""
    value = numerator.value / denominator.value
    left, right = numerator.relative_half_width, denominator.relative_half_width
    if left is None or right is None or value <= 0:
        return Estimate(value)
    return with_log_half_width(value, math.hypot(left, right))


def weighted(estimates: Sequence[Estimate], weights: Sequence[float], *, harmonic: bool = False) -> Estimate:
    """Return the weighted mean of independent estimates, its interval by error propagation.

    `harmonic` is for rates, whose reciprocals add up. A single estimate is returned unchanged. There is no
    interval unless every estimate has one.
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
    """Return the value with an interval that is symmetric in the logarithm."""
    # a wider interval means that nothing is known, and would overflow at some point
    half_width = min(half_width, WIDEST)
    return Estimate(value, value * math.exp(-half_width), value * math.exp(half_width))


def design_effect(batches: Sequence[Samples], percent: float) -> float:
    """Return the design effect: samples divided by the independent samples that tell as much; at least 1.

    This is the variance of the share of samples up to the percentile, by batch means, divided by that of
    independent samples,
    enlarged for the few batches it comes from: E. L. Korn and B. I. Graubard, Confidence intervals
    for proportions with small expected number of positive counts estimated from survey data, Survey
    Methodology 24 (1998). It is 1 if all samples, or those of a single batch, are alike.
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
    """Return the value of all blocks, its interval by Student's t over batches of neighbouring blocks.

    Each block is a batch at first; while neighbours are alike, the number of batches is halved, down to five.
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
    """Return whether neighbours are correlated, by von Neumann's ratio at the 20 % level, as in LABATCH.

    So lax a level widens intervals of independent blocks by 3 to 5 %, and helps the coverage of correlated
    ones more.
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
