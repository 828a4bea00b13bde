"""What only buys accuracy comes last where there is enough of it: keeping nodes in FP32 saves no time."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from studies.encoding import IDLE, Encoding
from studies.metrics import SPEED_METRICS

# how many nodes of a lowered graph stay in FP32
BUYING = "keep_fp32"


class Sparing:
    """Graphs that a search for speed can do without; none for a search that has another objective too."""

    def __init__(self, encoding: Encoding, metrics: Sequence[str]) -> None:
        is_for_speed = bool(metrics) and SPEED_METRICS.issuperset(metrics)
        self.places: NDArray[np.int64] = encoding.places(("graph",))
        self._nodes = {
            place: one.choices
            for place, one in enumerate(encoding.searched)
            if one.name == BUYING and is_for_speed
        }

    def spared(self, row: Sequence[int]) -> Iterator[list[int]]:
        """The row with each choice that keeps more, where this candidate keeps every constraint."""
        for place, choices in self._nodes.items():
            if row[place] == IDLE:
                continue
            enough = float(choices[row[place] - 1])
            for code, choice in enumerate(choices, start=1):
                if float(choice) > enough:
                    yield [*row[:place], code, *row[place + 1 :]]
