"""How evenly inferences take: what else uses a GPU shows in them even where it cannot be seen itself.

A GPU works for one process at a time, in slices, so some of the inferences beside another process wait.
"""

from collections.abc import Sequence

import numpy as np

from engines.results import Block, Measurement
from engines.values import Samples

# so many in a row are compared with each other, for clocks and temperatures change more slowly
ROW = 5
# fewer have no tenths worth the name
FEWEST_INFERENCES = 25
# of 1,611 measurements on an H200 alone 0.7 % were beyond this (none of 933 with a CUDA graph), of 990 on one
# that others used 54 %: docs/measurements.md
UNEVEN = 1.5


def jitter(blocks: Sequence[Block]) -> float | None:
    """How many times as long the slowest tenth of the inferences takes as the fastest tenth, at least.

    The 90th percentile by the 10th, each inference by the median of five in a row; None for too few of them.
    """
    relative = [_by_their_neighbours(block.latency_ms) for block in blocks]
    pooled = np.concatenate([np.zeros(0), *relative])
    if len(pooled) < FEWEST_INFERENCES:
        return None
    slow, fast = np.percentile(pooled, (90, 10))
    return float(slow / fast)


def is_uneven(measurement: Measurement) -> bool | None:
    """Whether inferences took as unevenly as beside another process.

    None where that cannot be told: several streams are in each other's way themselves.
    """
    found = jitter(measurement.blocks) if measurement.streams == 1 else None
    return None if found is None else found > UNEVEN


def _by_their_neighbours(latency_ms: Samples) -> Samples:
    """Without those behind the last whole row."""
    rows = latency_ms[: len(latency_ms) // ROW * ROW].reshape(-1, ROW)
    relative: Samples = (rows / np.median(rows, axis=1, keepdims=True)).ravel()
    return relative
