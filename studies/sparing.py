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
        self.places: NDArray[np.int64] = encoding.places(("graph",))
        is_for_speed = bool(metrics) and SPEED_METRICS.issuperset(metrics)
        self._nodes = {
            place: [float(choice) for choice in one.choices]
            for place, one in enumerate(encoding.searched)
            if one.name == BUYING and is_for_speed
        }
        self._is_enough: dict[tuple[int, ...], bool] = {}

    def learn(self, row: Sequence[int], *, kept: bool) -> Iterator[tuple[list[int], bool]]:
        """Takes a trial, and whether it kept every constraint.

        Yields each graph that keeps more nodes, and whether one that keeps fewer was enough in every build.
        """
        graph = self._graph(row)
        self._is_enough[graph] = kept and self._is_enough.get(graph, True)
        for place, counts in self._nodes.items():
            if row[place] == IDLE:
                continue
            rows = {count: [*row[:place], code, *row[place + 1 :]] for code, count in enumerate(counts, 1)}
            for count in counts:
                if count > counts[row[place] - 1]:
                    fewer = [other for many, other in rows.items() if many < count]
                    yield rows[count], any(self._is_enough.get(self._graph(other)) for other in fewer)

    def _graph(self, row: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(row[place]) for place in self.places)
