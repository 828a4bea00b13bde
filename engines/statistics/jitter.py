"""How evenly inferences take: what else uses a GPU shows in them even where it cannot be seen itself.

Processes share a GPU by slices of time, unless MPS or MIG parts it, so some inferences beside another wait.
"""

from collections.abc import Sequence

import numpy as np

from engines.core.results import Block
from engines.core.values import Samples

# so many in a row are compared with each other, for clocks and temperatures change more slowly
ROW = 5
# fewer have no tenths worth the name
FEWEST_INFERENCES = 25
# how well this tells a GPU of one's own from one that is shared: docs/measurements.md
UNEVEN = 1.5
# an inference that takes the host this share of its time to launch is as uneven as the host is busy
LAUNCH_BOUND = 0.5


def jitter(blocks: Sequence[Block]) -> float | None:
    """The 90th percentile of latencies by the 10th, each taken by the median of five in a row of its block.

    None for fewer than 25 in whole rows.
    """
    pooled = np.concatenate([np.zeros(0), *(_by_their_row(block.latency_ms) for block in blocks)])
    if len(pooled) < FEWEST_INFERENCES:
        return None
    slow, fast = np.percentile(pooled, (90, 10))
    return float(slow / max(fast, np.finfo(float).tiny))


def is_uneven(blocks: Sequence[Block]) -> bool | None:
    """Whether inferences took as unevenly as beside another process.

    None where that cannot be told: few inferences, or such as wait for the host.
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
    """Without those behind the last whole row."""
    rows = latency_ms[: len(latency_ms) // ROW * ROW].reshape(-1, ROW)
    middles = np.maximum(np.median(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray((rows / middles).ravel())
