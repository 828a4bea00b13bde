"""Dimensions that make no difference, seen in engines that are the same under different choices.

Two engines are the same when they have one fingerprint and are equally right: fingerprints need not cover
weights. A dimension is dead when

- no two engines differ that agree in every other dimension but the dead ones,
- at least three pairs of engines that do so, and are the same, link all of its choices with each other,
- and such a pair was seen with each choice of the other dimensions that more than a few engines had, since
  what changes nothing in FP32 may change something in INT8.

Several can be dead at once: a pair may differ in all of them. Dimensions of a run are never looked at.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.sharing import fingerprint
from engines.values import Accuracy, Dimension, Value, text_of
from studies.records import TrialRecord
from studies.space import applies, searched

FEWEST_PAIRS = 3
# a choice that no more engines had says little, and is hardly wanted
FEW_ENGINES = 2
# errors that differ by no more than this, relatively or absolutely, are of the same engine
RELATIVE, ABSOLUTE = 0.01, 1e-6
# what a builder that cannot make an engine says of its settings
NO_ENGINE = ("refused", "crashed", "timeout", "out_of_memory")

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Point = Mapping[str, Value]


@dataclass(frozen=True)
class Dead:
    """A dimension that changes nothing, the value that it stays at, and how many engines showed it."""

    name: str
    value: Value
    choices: int
    engines: int

    @property
    def reason(self) -> str:
        return (
            f"{self.name} changes nothing here: {self.choices} choices, {self.engines} engines that it makes "
            f"no difference to; it leaves the space and stays at {text_of(self.value)}"
        )


@dataclass(frozen=True)
class _Engines:
    """The engines tried: settings, places of these in the choices, and which are the same (-1 is none)."""

    points: Sequence[Point]
    codes: Codes
    kinds: Codes


@dataclass(frozen=True)
class _Pairs:
    """All pairs of engines: the dimensions in which they differ, and whether they are the same or not."""

    first: Codes
    second: Codes
    differ: Flags
    same: Flags
    other: Flags

    def agreeing(self, among: Flags, but_for: Flags) -> Flags:
        """Those of them that differ in no dimensions but these."""
        found: Flags = among & ~self.differ[:, ~but_for].any(axis=1)
        return found


def dead(records: Iterable[TrialRecord], space: Sequence[Dimension]) -> tuple[Dead, ...]:
    """The dimensions of graphs and builds that change nothing, as far as these trials show."""
    dimensions = [one for one in space if one.kind != "run"]
    kinds = _kinds(records)
    made = [kind for kind in kinds.values() if kind >= 0]
    if len(set(made)) == len(made):
        return ()
    engines = _engines(kinds, dimensions)
    pairs = _pairs(engines)
    free = {one.name for one in searched(space)}
    suspects = _suspects(pairs, np.array([one.name in free for one in dimensions]))
    found = []
    for place in np.flatnonzero(suspects).tolist():
        one = dimensions[place]
        shown = pairs.agreeing(pairs.same & pairs.differ[:, place], suspects)
        if _is_shown(engines, pairs, shown, place, one, suspects):
            seen = np.union1d(pairs.first[shown], pairs.second[shown])
            found.append(Dead(one.name, _usual(engines, one), len(one.choices), len(seen)))
    return tuple(found)


def _kinds(records: Iterable[TrialRecord]) -> dict[tuple[tuple[str, Value], ...], int]:
    """Which engines are the same, by graph and build settings; -1 is for those that could not be built."""
    found: dict[tuple[tuple[str, Value], ...], int] = {}
    known: list[tuple[str, Accuracy]] = []
    for record in records:
        settings = (*record.candidate.graph.items(), *record.candidate.build.items())
        mark, accuracy = fingerprint(record.engine), record.accuracy
        if mark is not None and accuracy is not None:
            found[settings] = _kind_of(mark, accuracy, known)
        elif _is_without_engine(record):
            found.setdefault(settings, -1)
    return found


def _kind_of(mark: str, accuracy: Accuracy, known: list[tuple[str, Accuracy]]) -> int:
    for place, (other, earlier) in enumerate(known):
        if other == mark and _is_as_right(accuracy, earlier):
            return place
    known.append((mark, accuracy))
    return len(known) - 1


def _is_as_right(one: Accuracy, other: Accuracy) -> bool:
    figures = [{"": found.error, **found.scores} for found in (one, other)]
    return figures[0].keys() == figures[1].keys() and all(
        math.isclose(value, figures[1][name], rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        for name, value in figures[0].items()
    )


def _is_without_engine(record: TrialRecord) -> bool:
    failure = record.failure
    return failure is not None and failure.stage in ("graph", "build") and failure.kind in NO_ENGINE


def _engines(kinds: Mapping[tuple[tuple[str, Value], ...], int], dimensions: Sequence[Dimension]) -> _Engines:
    points = [dict(settings) for settings in kinds]
    codes = np.empty((len(points), len(dimensions)), dtype=np.int64)
    for place, one in enumerate(dimensions):
        # a baseline may lie outside of the space
        values = [*one.choices, *(point.get(one.name, one.default) for point in points)]
        codes[:, place] = [values.index(point.get(one.name, one.default)) for point in points]
    return _Engines(points, codes, np.array(list(kinds.values()), dtype=np.int64))


def _pairs(engines: _Engines) -> _Pairs:
    first, second = np.triu_indices(len(engines.points), k=1)
    one, two = engines.kinds[first], engines.kinds[second]
    differ = engines.codes[first] != engines.codes[second]
    return _Pairs(first, second, differ, (one == two) & (one >= 0), one != two)


def _suspects(pairs: _Pairs, free: Flags) -> Flags:
    """The dimensions in which the same engines differ, but for those needed to tell others apart."""
    found: Flags = pairs.differ[pairs.same].any(axis=0) & free
    while (unexplained := pairs.agreeing(pairs.other, found)).any():
        explains = pairs.differ[unexplained].sum(axis=0) * found
        found[int(explains.argmax())] = False
    return found


def _is_shown(
    engines: _Engines, pairs: _Pairs, shown: Flags, place: int, dimension: Dimension, suspects: Flags
) -> bool:
    """Whether these pairs, which differ in the dimension and are the same, are enough."""
    ends = engines.codes[pairs.first[shown], place], engines.codes[pairs.second[shown], place]
    if shown.sum() < FEWEST_PAIRS or not _is_linked(len(dimension.choices), zip(*ends, strict=True)):
        return False
    used = [
        kind >= 0 and applies(dimension, point)
        for kind, point in zip(engines.kinds, engines.points, strict=True)
    ]
    for other in np.flatnonzero(~suspects):
        tried = Counter(engines.codes[used, other].tolist())
        seen = set(engines.codes[pairs.first[shown], other].tolist())
        if any(count > FEW_ENGINES and choice not in seen for choice, count in tried.items()):
            return False
    return True


def _is_linked(choices: int, links: Iterable[tuple[int, int]]) -> bool:
    """Whether the links lead from every choice to every other."""
    groups = {choice: {choice} for choice in range(choices)}
    for one, two in links:
        joined = groups.setdefault(one, {one}) | groups.setdefault(two, {two})
        groups.update(dict.fromkeys(joined, joined))
    return set(range(choices)) <= groups[0]


def _usual(engines: _Engines, dimension: Dimension) -> Value:
    """The choice of most engines: what runs them in other ways finds them built."""
    chosen = Counter(point.get(dimension.name, dimension.default) for point in engines.points)
    return next(value for value, _ in chosen.most_common() if value in dimension.choices)
