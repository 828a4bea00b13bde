"""Warming up and sampling: when an engine is warm, and when enough was seen.

Time is counted in the spans of the blocks, so a simulated engine needs no real time.
"""

import numpy as np

from engines import statistics
from engines.backends.base import Runner
from engines.values import Block, Measurement, Policy

# fewer give an interval that says nothing, so even a slow engine is run this often
MINIMUM_BLOCKS = 5
# a block shorter than this many inferences says little of its own, and its end counts for too much
INFERENCES_PER_BLOCK = 5
WARM_WITHIN = 0.05
LONGEST_WARMUP = 5.0


def warm_up(runner: Runner, policy: Policy) -> list[Block]:
    """Runs until the time is up and the last two blocks agree, or five times as long."""
    blocks = [runner.block(0.0)]
    while True:
        blocks.append(runner.block(policy.warmup_seconds / 3))
        seconds = _seconds(blocks)
        if seconds >= policy.warmup_seconds and _agree(blocks[-2], blocks[-1]):
            return blocks
        if seconds >= LONGEST_WARMUP * policy.warmup_seconds:
            return blocks


def measure(runner: Runner, policy: Policy, warmup: list[Block], batch: int) -> Measurement:
    """Samples in blocks until the interval is narrow enough or the time is up; keeps everything."""
    several = INFERENCES_PER_BLOCK * _typical_seconds(warmup[-1])
    block_seconds = max(policy.block_seconds, min(several, policy.maximum_seconds / MINIMUM_BLOCKS))
    blocks: list[Block] = []
    while True:
        blocks.append(runner.block(block_seconds))
        measurement = Measurement(
            blocks=tuple(blocks),
            batch=batch,
            streams=runner.streams,
            warmup_seconds=_seconds(warmup),
            warmup_runs=sum(len(block.latency_ms) for block in warmup),
            converged=_is_narrow(blocks, policy, batch, runner.streams),
        )
        if len(blocks) < MINIMUM_BLOCKS:
            continue
        enough = _seconds(blocks) >= policy.minimum_seconds
        if (enough and measurement.converged) or _seconds(blocks) >= policy.maximum_seconds:
            return measurement


def _is_narrow(blocks: list[Block], policy: Policy, batch: int, streams: int) -> bool:
    so_far = Measurement(tuple(blocks), batch, streams, 0.0, 0, converged=False)
    estimate = (
        statistics.latency(so_far, statistics.median) if streams == 1 else statistics.throughput(so_far)
    )
    width = estimate.relative_half_width
    return width is not None and width <= policy.target_half_width


def _agree(left: Block, right: Block) -> bool:
    before, after = _typical_seconds(left), _typical_seconds(right)
    return abs(after - before) <= WARM_WITHIN * before


def _typical_seconds(block: Block) -> float:
    return float(np.median(block.latency_ms)) / 1e3


def _seconds(blocks: list[Block]) -> float:
    return sum(block.span_seconds for block in blocks)
