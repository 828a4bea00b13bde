"""Find dimensions that make no difference: their choices give the same engines.

Two engines are the same when they have one fingerprint, were asked for the same shapes and are equally right:
fingerprints need not cover shapes or weights. A dimension is inert when

- no two engines differ that agree in every other dimension but the inert ones,
- at least three pairs of engines that do so, and are the same, link all of its choices with each other,
- and such a pair was seen with each choice of every other graph dimension, whether it was tried or not, since
  what changes nothing in FP32 may change something in INT8; of a build dimension, with each choice that more
  than a few engines had.

Several can be inert at once: a pair may differ in all of them. Dimensions of a run are never looked at.
"""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.artifacts.fingerprints import fingerprint
from engines.core.values import Dimension, Settings, Value, text_of
from engines.shapes.plan import SHAPE_SETTINGS
from studies.core.records import TrialRecord
from studies.core.space import searched

FEWEST_PAIRS = 3
# a choice of so few engines is weak evidence, and the search hardly wants it
FEW_ENGINES = 2
# errors of the same engine differ by no more than this, relatively or absolutely
RELATIVE, ABSOLUTE = 0.01, 1e-6
# failures of a builder that are caused by its settings
NO_ENGINE = ("refused", "crashed", "timeout", "out_of_memory")

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
# the kinds of settings that an engine is made from
Made = tuple[Settings, Settings]
# error and scores
Figures = Mapping[str, float]


@dataclass(frozen=True)
class InertDimension:
    """A dimension that changes nothing, the value that it keeps, and how many engines showed it."""

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
    """The engines tried, a row each and a column for each dimension, and which are the same (-1: none).

    `codes` are the places of their settings in the choices, `means` says where a dimension means anything.
    Marks are random numbers for codes and kinds: joined by XOR, they are equal for engines that agree in all.
    """

    dimensions: Sequence[Dimension]
    kinds: Codes
    codes: Codes
    means: Flags
    code_marks: Codes
    kind_marks: Codes

    def agreement(self, columns: Flags) -> Codes:
        """Return numbers that are equal for engines that agree in these dimensions."""
        joined: Codes = np.bitwise_xor.reduce(self.code_marks[:, columns], axis=1)
        return joined


def inert(records: Iterable[TrialRecord], space: Sequence[Dimension]) -> tuple[InertDimension, ...]:
    """Return the dimensions of graphs and builds that change nothing, as far as these trials show."""
    kinds = _kinds(records)
    made = [kind for kind in kinds.values() if kind >= 0]
    if len(set(made)) == len(made):
        return ()
    # engines of different shapes are different, whatever their layers
    free = {one.name for one in searched(space)}.difference(SHAPE_SETTINGS)
    engines = _engines(kinds, [one for one in space if one.kind != "run"])
    shown = _shown(engines, np.array([one.name in free for one in engines.dimensions]))
    return tuple(
        InertDimension(one.name, _usual(engines, column), len(one.choices), int(shown[column].sum()))
        for column, one in enumerate(engines.dimensions)
        if column in shown
    )


def _kinds(records: Iterable[TrialRecord]) -> dict[Made, int]:
    """Return which engines are the same, by graph and build settings; -1 for those that could not be
    built.
    """
    found: dict[Made, int] = {}
    known: dict[str, dict[int, Figures]] = defaultdict(dict)
    numbers = itertools.count(1)
    for record in records:
        made = record.candidate.graph, record.candidate.build
        mark, accuracy = fingerprint(record.engine), record.accuracy
        if mark is not None and accuracy is not None:
            figures = {"": accuracy.error, **accuracy.scores}
            same = (kind for kind, earlier in known[mark].items() if _is_as_right(figures, earlier))
            found[made] = kind = next(same, None) or next(numbers)
            known[mark].setdefault(kind, figures)
        elif _is_without_engine(record):
            found.setdefault(made, -1)
    return found


def _is_as_right(one: Figures, other: Figures) -> bool:
    return one.keys() == other.keys() and all(
        math.isclose(value, other[name], rel_tol=RELATIVE, abs_tol=ABSOLUTE) for name, value in one.items()
    )


def _is_without_engine(record: TrialRecord) -> bool:
    failure = record.failure
    return failure is not None and failure.stage in ("graph", "build") and failure.kind in NO_ENGINE


def _engines(kinds: Mapping[Made, int], dimensions: Sequence[Dimension]) -> _Engines:
    graphs, builds = ([made[part] for made in kinds] for part in (0, 1))
    values = {one.name: _values(graphs if one.kind == "graph" else builds, one) for one in dimensions}
    of = np.array(list(kinds.values()), dtype=np.int64)
    codes, marks = (np.empty((len(of), len(dimensions)), dtype=np.int64) for _ in range(2))
    means = np.ones(codes.shape, dtype=np.bool_)
    random = np.random.default_rng(0)
    for column, one in enumerate(dimensions):
        # a baseline may lie outside of the space
        known = {value: code for code, value in enumerate(one.choices)}
        codes[:, column] = [known.setdefault(value, len(known)) for value in values[one.name]]
        marks[:, column] = _marks(codes[:, column], random)
        for name, wanted in one.applies_to.items():
            means[:, column] &= [value in wanted for value in values[name]]
    return _Engines(dimensions, of, codes, means, marks, _marks(of, random))


def _values(settings: Sequence[Settings], one: Dimension) -> list[Value]:
    """Return the value of the dimension in each, its default where there is none."""
    try:
        return [each[one.name] for each in settings]
    except KeyError:
        return [each.get(one.name, one.default) for each in settings]


def _marks(codes: Codes, random: np.random.Generator) -> Codes:
    # -1 has the last
    return random.integers(2**63, size=int(codes.max()) + 2)[codes]


def _pairs(marks: Codes) -> int:
    """Count the pairs that agree."""
    ordered = np.sort(marks)
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    counts = ends.copy()
    counts[1:] -= ends[:-1]
    return int(counts @ (counts - 1)) // 2


def _shown(engines: _Engines, free: Flags) -> dict[int, Flags]:
    """Return the dimensions that are inert, by column, each with the engines that show it."""
    suspects = _suspects(engines, free)
    while True:
        columns = np.flatnonzero(suspects).tolist()
        shown = {column: _evidence(engines, column, suspects) for column in columns}
        found = {
            column: seen
            for column, seen in shown.items()
            if _is_everywhere(engines, seen, column, free, suspects)
        }
        if len(found) == len(shown):
            return found
        # pairs must agree in whatever is not inert
        suspects = np.isin(np.arange(len(free)), list(found))


def _suspects(engines: _Engines, free: Flags) -> Flags:
    """Return the dimensions in which equal engines differ, except those needed to tell others apart."""
    made = engines.kinds >= 0
    same, marks = engines.kind_marks[made], engines.code_marks[made]
    found = free & [_pairs(same) > _pairs(same ^ marks[:, column]) for column in range(len(free))]
    while found.any():
        agreement = engines.agreement(~found)
        other = _others(engines, agreement)
        if not other:
            break
        # of other engines that agree in the rest, how many pairs differ in it
        explains = {
            column: other - _others(engines, agreement ^ engines.code_marks[:, column])
            for column in np.flatnonzero(found).tolist()
        }
        found[max(explains, key=explains.__getitem__)] = False
    return found


def _others(engines: _Engines, marks: Codes) -> int:
    """Count the pairs that agree and are not the same engine."""
    return _pairs(marks) - _pairs(marks ^ engines.kind_marks)


def _evidence(engines: _Engines, column: int, suspects: Flags) -> Flags:
    """Return the engines in pairs that are the same, differ in the dimension and agree in all but the
    suspects; none if these pairs are too few, or do not link all of its choices.
    """
    made = np.flatnonzero(engines.kinds >= 0)
    same = (engines.agreement(~suspects) ^ engines.kind_marks)[made]
    found = np.zeros(len(engines.kinds), dtype=np.bool_)
    choices: dict[int, set[int]] = defaultdict(set)
    for mark, code in zip(same.tolist(), engines.codes[made, column].tolist(), strict=True):
        choices[mark].add(code)
    pairs = _pairs(same) - _pairs(same ^ engines.code_marks[made, column])
    if pairs >= FEWEST_PAIRS and _is_linked(len(engines.dimensions[column].choices), choices.values()):
        found[made] = [len(choices[mark]) > 1 for mark in same.tolist()]
    return found


def _is_linked(choices: int, links: Collection[set[int]]) -> bool:
    """Return whether the links lead from every choice to every other."""
    reached = {0}
    while joined := [link for link in links if link & reached and not link <= reached]:
        reached = reached.union(*joined)
    return reached >= set(range(choices))


def _is_everywhere(engines: _Engines, shown: Flags, column: int, free: Flags, suspects: Flags) -> bool:
    """Return whether these engines have every choice of other dimensions with which this one might matter."""
    one = engines.dimensions[column]
    tried = (engines.kinds >= 0) & engines.means[:, column]
    for place, other in enumerate(engines.dimensions):
        codes, means = engines.codes[:, place], engines.means[:, place]
        needed: set[int] = set()
        if other.kind == "graph" and free[place] and place != column:
            needed = _together(other, one)
        elif not suspects[place]:
            counted = Counter(codes[tried & means].tolist())
            needed = {code for code, count in counted.items() if count > FEW_ENGINES}
        if not needed <= set(codes[shown & means].tolist()):
            return False
    return bool(shown.any())


def _together(other: Dimension, one: Dimension) -> set[int]:
    """Return the places of the choices of the other dimension with which both are active."""
    if any(
        set(values).isdisjoint(one.applies_to.get(name, values)) for name, values in other.applies_to.items()
    ):
        return set()
    allowed = one.applies_to.get(other.name, other.choices)
    return {code for code, choice in enumerate(other.choices) if choice in allowed}


def _usual(engines: _Engines, column: int) -> Value:
    """Return the choice of most engines, since other run settings then find them built."""
    choices = engines.dimensions[column].choices
    counted = Counter(engines.codes[:, column].tolist())
    return next(choices[code] for code, _ in counted.most_common() if code < len(choices))
