"""Detect other processes on the GPU from the spread of latencies, even when NVML does not list them.

Unless MPS or MIG divides it, a GPU is shared by time slices, so some inferences wait for the other process.
"""

from collections.abc import Sequence

import numpy as np

from engines.core.results import Block
from engines.core.values import Samples

# compare this many in a row with each other, since clocks and temperatures change more slowly
ROW = 5
# with fewer, the 10th and 90th percentiles mean nothing
FEWEST_INFERENCES = 25
# how well this separates exclusive from shared GPUs: docs/measurements.md
UNEVEN = 1.5
# if launching takes the host this share of an inference, the host's own load makes latencies uneven
LAUNCH_BOUND = 0.5


def jitter(blocks: Sequence[Block]) -> float | None:
    """Return the 90th percentile of latencies divided by the 10th, each first divided by the median of its
    row.

    A row is five latencies in a row of one block. None for fewer than 25 latencies in whole rows.
    """
    pooled = np.concatenate([np.zeros(0), *(_by_their_row(block.latency_ms) for block in blocks)])
    if len(pooled) < FEWEST_INFERENCES:
        return None
    slow, fast = np.percentile(pooled, (90, 10))
    return float(slow / max(fast, np.finfo(float).tiny))


def is_uneven(blocks: Sequence[Block]) -> bool | None:
    """Return whether latencies are as uneven as when another process uses the GPU.

    None if this cannot be decided: too few inferences, or inferences that wait for the host.
    """
    found = None if _is_launch_bound(blocks) else jitter(blocks)
    return None if found is None else found > UNEVEN


def _is_launch_bound(blocks: Sequence[Block]) -> bool:
    launches = [
        block.telemetry["enqueue_ms"] / np.median(block.latency_ms)
        for block in blocks
        if "enqueue_ms" in block.telemetry
    ]
    return bool(launches) and bool(np.median(launches) > LAUNCH_BOUND)


def _by_their_row(latency_ms: Samples) -> Samples:
    """Return the samples without the last incomplete row."""
    rows = latency_ms[: len(latency_ms) // ROW * ROW].reshape(-1, ROW)
    middles = np.maximum(np.median(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray((rows / middles).ravel())
