"""Candidates in an order that was settled beforehand, whatever they show."""

from collections.abc import Mapping, Sequence

import numpy as np

from engines.core.values import Candidate, Dimension, Value
from studies.core import space as spaces
from studies.core.space import Point
from studies.search.observations import Observation

# a larger space is not listed but drawn from
MOST_LISTED = 50_000


class Listing:
    """Suggests the points of a list, one after another (see `studies.run.interfaces.Sampler`)."""

    def __init__(self, space: Sequence[Dimension], order: Sequence[Point]) -> None:
        self._space = tuple(space)
        self._left = {self._key(point): spaces.point_of(space, point) for point in order}

    @property
    def is_exhausted(self) -> bool:
        return not self._left

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        if spaces.contains(self._space, settings):
            self._left.pop(self._key(settings), None)

    def add(self, observation: Observation) -> None:
        """What was tried is not tried again; nothing that is found changes the order."""
        self.mark_seen(observation.candidate.settings)

    def correct(self, observations: Sequence[Observation]) -> None:
        """Nor does what it is corrected to."""

    def suggest(self, pending: Sequence[Candidate] = ()) -> dict[str, Value]:
        return dict(next(iter(self._left.values())))

    def left_to_gain(self, least: float) -> None:
        """Nothing is expected."""

    def _key(self, point: Point) -> tuple[Value, ...]:
        return tuple(spaces.point_of(self._space, point).values())


def random_points(space: Sequence[Dimension], count: int, seed: int) -> list[Point]:
    """So many different points of the space in random order, or all that there are."""
    random, there = np.random.default_rng(seed), spaces.size(space)
    if there <= MOST_LISTED:
        every = list(spaces.points(space))
        return [every[place] for place in random.permutation(len(every))[:count]]
    found: dict[tuple[Value, ...], Point] = {}
    while len(found) < min(count, there):
        point = {one.name: one.choices[int(random.integers(len(one.choices)))] for one in space}
        # of those that are the same candidate one alone counts, as in a list
        if spaces.settled(space, point) == point:
            found.setdefault(tuple(point.values()), point)
    return list(found.values())
