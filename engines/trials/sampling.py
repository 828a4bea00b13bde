"""Warm up engines and sample latencies: decide when an engine is warm, and when the samples are enough.

Time is counted in the spans of the blocks, so a simulated engine needs no real time. The machine is read
between blocks, never in them: the reading after one block is the reading before the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.backends.base import Runner
from engines.core.results import Block, Measurement
from engines.core.values import Bar, Policy
from engines.machine.telemetry import Probe, Reading, between, disturbance
from engines.statistics import distributions
from engines.statistics.deadlines import p99_bound
from engines.statistics.futility import should_prune
from engines.statistics.metrics import METRICS

# with fewer the interval is too wide to be useful, so even a slow engine is run this often
MINIMUM_BLOCKS = 5
# in a block of fewer inferences chance and the ends of the block count for too much
INFERENCES_PER_BLOCK = 5
# a machine that always holds its clocks down will do so in the next block too
MOST_REPEATS = 3
LONGEST_WARMUP = 5.0
# correlated inferences count for fewer; with a tenth or less, certifying would take too long
MOST_TIMES = 10
# as a fraction: while clocks still climb or times still fall, two readings differ by more
WARM_WITHIN = 0.02
# default half width of the interval: GPUs are steady, the CPU is shared with other programs
TARGETS = {"gpu": 0.005}
TARGET = 0.02


@dataclass(frozen=True)
class Meter:
    """A runner with the probe of its machine and the policy that times it.

    `case` is the index of its shapes among the cases of the plan.
    """

    runner: Runner
    policy: Policy
    batch: int
    probe: Probe
    case: int = 0

    def read(self) -> Reading:
        return self.probe.read() if self.policy.telemetry else Reading(0.0)


def target_half_width(policy: Policy, machine_kind: str) -> Policy:
    """Return the policy with the target half width of the kind of machine, unless it has one."""
    if policy.target_half_width is not None:
        return policy
    return replace(policy, target_half_width=TARGETS.get(machine_kind, TARGET))


def warm_up(meter: Meter) -> list[Block]:
    """Run until the time is up and times and clocks are steady, or five times as long."""
    # SciPy takes 0.2 s to load, which would show in the readings if it fell between two timed blocks
    distributions.preload()
    runner, policy = meter.runner, meter.policy
    blocks = [runner.block(0.0)]
    readings = [meter.read()]
    while True:
        blocks.append(runner.block(policy.warmup_seconds / 4))
        readings.append(meter.read())
        seconds = _seconds(blocks)
        if seconds >= policy.warmup_seconds and _is_steady(blocks, readings, policy):
            return blocks
        if seconds >= LONGEST_WARMUP * policy.warmup_seconds:
            return blocks


def measure(meter: Meter, warmup: list[Block], bar: Bar | None = None) -> Measurement:
    """Sample in blocks until the interval is narrow enough, the time is up, or the bar is out of reach.

    All blocks are kept; a disturbed block is repeated, and marked if repeating does not help.
    """
    sampler = _Sampler(meter, block_seconds(meter.policy, warmup[-1]))
    while True:
        sampler.add()
        measurement = sampler.measurement(warmup)
        if bar is not None and _should_prune(measurement, bar, meter.policy):
            return replace(measurement, pruned=True)
        if _is_enough(measurement, meter.policy):
            return measurement


def measure_cases(
    meters: Sequence[Meter], warmups: Sequence[list[Block]], bar: Bar | None = None
) -> Measurement:
    """Measure every case, one after another.

    The bar is for the mean of all cases, so with several cases none is pruned.
    """
    bar = bar if len(meters) == 1 else None
    return joined([measure(meter, warmup, bar) for meter, warmup in zip(meters, warmups, strict=True)])


def joined(measurements: Sequence[Measurement]) -> Measurement:
    """Join the measurements of all cases into one; its batch is that of the first."""
    if len(measurements) == 1:
        return measurements[0]
    return replace(
        measurements[0],
        blocks=tuple(block for one in measurements for block in one.blocks),
        warmup_seconds=sum(one.warmup_seconds for one in measurements),
        warmup_runs=sum(one.warmup_runs for one in measurements),
        converged=all(one.converged for one in measurements),
        pruned=any(one.pruned for one in measurements),
        cold=tuple(block for one in measurements for block in one.cold),
        discarded=tuple(block for one in measurements for block in one.discarded),
    )


def cold_blocks(meters: Sequence[Meter], measurement: Measurement) -> tuple[Block, ...]:
    """Return blocks with caches flushed if the policy asks for them and the measurement was not pruned."""
    if not meters[0].policy.cold or measurement.pruned or measurement.cold:
        return measurement.cold
    return tuple(cold_block(meter) for meter in meters for _ in range(MINIMUM_BLOCKS))


def cold_block(meter: Meter) -> Block:
    """Time one block with caches flushed before each inference."""
    block = meter.runner.block(meter.policy.minimum_seconds / MINIMUM_BLOCKS, cold=True)
    return replace(block, case=meter.case)


def block_seconds(policy: Policy, warm: Block) -> float:
    """Return the length of a block of this engine."""
    several = INFERENCES_PER_BLOCK * _typical_seconds(warm)
    return max(policy.block_seconds, min(several, policy.maximum_seconds / MINIMUM_BLOCKS))


class _Sampler:
    """Samples blocks one after another, with readings between them."""

    def __init__(self, meter: Meter, seconds: float) -> None:
        self._meter, self._block_seconds = meter, seconds
        self._blocks: list[Block] = []
        self._discarded: list[Block] = []
        self._was_narrow = False
        self._before = meter.read()

    def add(self) -> None:
        """Add one block; disturbed blocks are repeated while that is likely to help."""
        while True:
            block, self._before = timed_block(self._meter, self._block_seconds, self._before)
            if not block.disturbed or len(self._discarded) >= MOST_REPEATS:
                self._blocks.append(block)
                return
            self._discarded.append(block)

    def measurement(self, warmup: list[Block]) -> Measurement:
        """Return the measurement so far; it has converged if narrow twice in a row, since once may be
        chance.
        """
        found = measurement_of(self._meter, tuple(self._blocks), warmup)
        narrow = _is_narrow(found, self._meter.policy)
        was_narrow, self._was_narrow = self._was_narrow, narrow
        return replace(found, discarded=tuple(self._discarded), converged=narrow and was_narrow)


def timed_block(meter: Meter, seconds: float, before: Reading) -> tuple[Block, Reading]:
    """Time one block with the telemetry around it; returns it and the reading after it."""
    block = meter.runner.block(seconds)
    after = meter.read()
    telemetry = {**block.telemetry, **between(before, after)}
    disturbed = disturbance(before, after)
    return replace(block, telemetry=telemetry, disturbed=disturbed, case=meter.case), after


def measurement_of(meter: Meter, blocks: tuple[Block, ...], warmup: list[Block]) -> Measurement:
    """Return the blocks as a measurement that has not converged."""
    return Measurement(
        blocks=blocks,
        batch=meter.batch,
        streams=meter.runner.streams,
        warmup_seconds=_seconds(warmup),
        warmup_runs=sum(len(block.latency_ms) for block in warmup),
        converged=False,
    )


def _is_enough(measurement: Measurement, policy: Policy) -> bool:
    blocks = measurement.blocks
    if len(blocks) < MINIMUM_BLOCKS:
        return False
    inferences = sum(len(block.latency_ms) for block in blocks)
    if inferences < policy.minimum_inferences:
        return False
    if (
        policy.certify
        and inferences < MOST_TIMES * policy.minimum_inferences
        and p99_bound(measurement) is None
    ):
        return False
    seconds = _seconds(list(blocks))
    return (seconds >= policy.minimum_seconds and measurement.converged) or seconds >= policy.maximum_seconds


def _is_narrow(measurement: Measurement, policy: Policy) -> bool:
    estimate = METRICS[policy.statistic].derive(measurement)
    width = estimate.relative_half_width if estimate else None
    target = TARGET if policy.target_half_width is None else policy.target_half_width
    return width is not None and width <= target


def _should_prune(measurement: Measurement, bar: Bar, policy: Policy) -> bool:
    metric = METRICS[policy.statistic]
    singles = [metric.derive(replace(measurement, blocks=(block,))) for block in measurement.blocks]
    values = [one.value for one in singles if one is not None]
    return len(values) == len(singles) and should_prune(values, bar, metric.better)


def _is_steady(blocks: list[Block], readings: list[Reading], policy: Policy) -> bool:
    """Return whether the last block is as fast as the median of those before it, and the clock constant."""
    within = max(WARM_WITHIN, 2 * (policy.target_half_width or 0.0))
    earlier = [_typical_seconds(block) for block in blocks[1:-1]]
    before, after = (reading.values.get("clock_mhz", 0.0) for reading in readings[-2:])
    return (
        bool(earlier)
        and _agree(float(np.median(earlier)), _typical_seconds(blocks[-1]), within)
        and _agree(before, after, WARM_WITHIN)
    )


def _agree(before: float, after: float, within: float) -> bool:
    return abs(after - before) <= within * before


def _typical_seconds(block: Block) -> float:
    return float(np.median(block.latency_ms)) / 1e3


def _seconds(blocks: list[Block]) -> float:
    return sum(block.span_seconds for block in blocks)
