"""Encode the space as numbers: candidates as rows of codes, and the similarity of the choices of a
dimension.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engines.core.values import Dimension, DimensionKind, Value
from studies.core import space as spaces
from studies.core.space import Point

Codes = NDArray[np.int64]
Matrix = NDArray[np.float64]

# neighbouring sizes, levels and numbers of streams have similar effects
SAME_ORDER = 0.6
REACH = 2.0
# an inactive dimension has no effect and no uncertainty
IDLE = 0


@dataclass(frozen=True)
class Encoding:
    """The searched dimensions of a space; a candidate is a row with a code for each of them.

    A code is 0 where the dimension is inactive, else the number of the choice, from 1.
    """

    whole: tuple[Dimension, ...]

    @cached_property
    def searched(self) -> tuple[Dimension, ...]:
        return spaces.searched(self.whole)

    @cached_property
    def factors(self) -> tuple[Matrix, ...]:
        """Return a matrix for each dimension, with a row for each code; their products are the similarity of
        choices.
        """
        return tuple(_factor(one) for one in self.searched)

    @cached_property
    def _numbers(self) -> tuple[dict[Value, int], ...]:
        return tuple(
            {choice: number for number, choice in enumerate(one.choices, 1)} for one in self.searched
        )

    def codes(self, settings: Mapping[str, Value]) -> tuple[int, ...]:
        """Return the row of a point of the space, or of settings that name at least the searched
        dimensions.
        """
        values = spaces.settled(self.whole, settings)
        return tuple(
            numbers[values[one.name]] if spaces.applies(one, values) else IDLE
            for one, numbers in zip(self.searched, self._numbers, strict=True)
        )

    @cached_property
    def _conditions(self) -> tuple[tuple[tuple[int, NDArray[np.bool_]], ...], ...]:
        """Return for each dimension the searched ones that it depends on, with the codes at which it is
        active.
        """
        places = {one.name: place for place, one in enumerate(self.searched)}
        return tuple(
            tuple(
                (places[name], self._allowed(self.searched[places[name]], values))
                for name, values in one.applies_to.items()
                if name in places
            )
            for one in self.searched
        )

    def _allowed(self, decider: Dimension, values: Sequence[Value]) -> NDArray[np.bool_]:
        return np.array([choice in values for choice in (spaces.idle(decider), *decider.choices)])

    def departures(self, rows: Codes) -> Matrix:
        """Count the dimensions in which each candidate differs from the vendor's default."""
        defaults = [
            numbers.get(one.default, IDLE) for one, numbers in zip(self.searched, self._numbers, strict=True)
        ]
        departs = (rows != np.array(defaults, dtype=np.int64)) & (rows != IDLE)
        return np.asarray(departs.sum(axis=1, dtype=np.float64))

    def places(self, kinds: Sequence[DimensionKind]) -> NDArray[np.int64]:
        """Return the positions in a row of the dimensions of these kinds."""
        return np.flatnonzero([one.kind in kinds for one in self.searched])

    def settle(self, raw: Codes) -> Codes:
        """Return the rows with code 0 where a dimension is inactive."""
        settled = raw.copy()
        for place, conditions in enumerate(self._conditions):
            for decider, allowed in conditions:
                settled[~allowed[settled[:, decider]], place] = IDLE
        return settled

    @property
    def raw_size(self) -> int:
        """Return the number of combinations of choices; more than the candidates if some dimensions are
        conditional.
        """
        return self.raw_size_but({})

    def raw_size_but(self, kept: Mapping[int, int]) -> int:
        """Return the same number with the dimensions in these places fixed to one choice each."""
        return math.prod(len(one.choices) for place, one in enumerate(self.searched) if place not in kept)

    def every(self, kept: Mapping[int, int] = {}) -> Codes:
        """Return all candidates, with those dimensions at these codes."""
        codes = [
            [kept[place]] if place in kept else range(1, len(one.choices) + 1)
            for place, one in enumerate(self.searched)
        ]
        raw = np.array(list(itertools.product(*codes)), dtype=np.int64)
        return np.unique(self.settle(raw.reshape(len(raw), len(codes))), axis=0)

    def drawn(self, count: int, random: np.random.Generator) -> Codes:
        """Return random candidates; the same one may come twice."""
        columns = [random.integers(1, len(one.choices) + 1, count) for one in self.searched]
        return self.settle(np.stack(columns, axis=1))

    def neighbours(self, rows: Codes) -> Codes:
        """Return the candidates that differ in one choice from one of the rows."""
        found = []
        for place, one in enumerate(self.searched):
            # a dimension that the change activates gets each of its choices in the next round
            for code in range(1, len(one.choices) + 1):
                changed = np.maximum(rows, 1)
                changed[:, place] = code
                found.append(changed)
        return np.unique(self.settle(np.concatenate(found)), axis=0)

    def rows(self, points: Sequence[Point]) -> Codes:
        """Return a row for each point."""
        return np.array([self.codes(point) for point in points], dtype=np.int64).reshape(
            len(points), len(self.searched)
        )

    def point(self, codes: Sequence[int]) -> dict[str, Value]:
        """Return the searched dimensions of the candidate; inactive ones have a value too."""
        named = {
            one.name: one.choices[code - 1]
            for one, code in zip(self.searched, codes, strict=True)
            if code != IDLE
        }
        values = spaces.settled(self.whole, named)
        return {one.name: values[one.name] for one in self.searched}


def _factor(dimension: Dimension) -> Matrix:
    """Return the matrix of a dimension; its first row, for inactive, is similar to none."""
    count = len(dimension.choices)
    alike = np.eye(count)
    if count > 2 and all(_is_number(choice) for choice in dimension.choices):
        steps = np.argsort(np.argsort([float(choice) for choice in dimension.choices]))
        apart = np.abs(steps[:, None] - steps[None, :])
        alike = (1 - SAME_ORDER) * alike + SAME_ORDER * np.exp(-apart / REACH)
    return np.vstack([np.zeros((1, count)), root_of(alike)])


def _is_number(choice: Value) -> bool:
    return isinstance(choice, int | float) and not isinstance(choice, bool)


def root_of(matrix: Matrix) -> Matrix:
    """Return a matrix whose product with its transpose is the given one."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
