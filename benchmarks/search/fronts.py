"""How much of what two objectives allow has been found: hypervolume in the plane of their logarithms."""

from collections.abc import Iterable

import numpy as np

from benchmarks.search.places import Floats
from benchmarks.search.world import World

Pair = tuple[float, float]


class Front:
    """Grows with every place; the reference is the worst that a feasible place has of each objective."""

    def __init__(self, world: World) -> None:
        self._losses = np.stack([world.truths.losses(0), world.truths.losses(1)], axis=1)
        feasible = world.truths.feasible
        self._is_feasible = feasible
        worst = self._losses[feasible].max(axis=0)
        self._reference: Pair = (float(worst[0]), float(worst[1]))
        self._best = hypervolume(map(_pair, self._losses[feasible]), self._reference)
        self._front: list[Pair] = []
        self._volume = 0.0

    def missing(self, place: int) -> float:
        """The percentage of the true front's hypervolume that is still missing once the place was found."""
        pair = _pair(self._losses[place])
        is_beaten = any(a <= pair[0] and b <= pair[1] for a, b in self._front)
        if self._is_feasible[place] and not is_beaten:
            self._front = [one for one in self._front if not (pair[0] <= one[0] and pair[1] <= one[1])]
            self._front.append(pair)
            self._volume = hypervolume(self._front, self._reference)
        return 100 * (1 - self._volume / self._best)


def hypervolume(pairs: Iterable[Pair], reference: Pair) -> float:
    """The area between the pairs, of which less is better, and the reference point."""
    area, lowest = 0.0, reference[1]
    for x, y in sorted(pairs):
        if x < reference[0] and y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area


def _pair(row: Floats) -> Pair:
    return float(row[0]), float(row[1])
