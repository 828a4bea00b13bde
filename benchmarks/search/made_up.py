"""Landscapes that were never measured, drawn from a seed; they look somewhat like a GPU's.

They serve tests, and to see that a strategy does not only suit what was recorded. Effects are factors with a
few interactions, the error depends on the graph, some engines cannot be built, and builds cost much more than
runs.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from benchmarks.search.places import Place, Run, Series
from benchmarks.search.world import World
from engines.core.values import Dimension, DimensionKind, Value
from studies.core import space as spaces
from studies.core.records import Constraint, Objective
from studies.core.space import Point, Space

# what a space of real engines has, and roughly by how much each can change the time (as a logarithm)
MENU: tuple[tuple[DimensionKind, str, tuple[Value, ...], float], ...] = (
    ("graph", "simplify", (True, False), 0.02),
    ("graph", "keep", (0, 4, 16), 0.05),
    ("build", "level", (2, 3, 4, 5), 0.06),
    ("build", "tiling", ("none", "fast", "full"), 0.08),
    ("build", "aux_streams", (0, 1, 2), 0.03),
    ("build", "tactics", ("all", "library", "compiler"), 0.1),
    ("run", "cuda_graph", (False, True), 0.15),
    ("run", "streams", (1, 2, 4), 0.05),
    ("run", "spin", (True, False), 0.02),
)
PRECISIONS = {"fp32": (0.0, 1e-6), "fp16": (-0.7, 6e-4), "fp8": (-0.85, 2e-2), "int8": (-1.0, 1.5e-2)}
LOWERED = ("fp8", "int8")
RUNS, BLOCKS = 3, 8
Key = TypeVar("Key")
MOST_POINTS = 1200


def made_up(seed: int, objectives: Sequence[Objective] = ()) -> World:
    """A world drawn from the seed, to be searched for latency where no objectives are given."""
    random = np.random.default_rng([seed, 9])
    space = _space(random)
    points = list(spaces.points(space))
    if len(points) > MOST_POINTS:
        chosen = np.sort(random.choice(len(points), MOST_POINTS, replace=False))
        points = [points[index] for index in chosen]
    baseline = {one.name: one.default for one in space}
    points = [baseline, *(one for one in points if one != baseline)]
    effects = _Effects(space, random)
    candidates = [spaces.candidate_at(space, point) for point in points]
    graphs = _numbered(one.graph for one in candidates)
    engines = _numbered((one.graph, one.build) for one in candidates)
    broken = {one for one in engines.values() if one and random.random() < 0.02}
    places = []
    for point, candidate in zip(points, candidates, strict=True):
        engine = engines[candidate.graph, candidate.build]
        fails = engine in broken or (point != baseline and effects.is_refused(point))
        runs = (Run(failed="build"),) if fails else effects.runs(point, random)
        places.append(Place(candidate, graphs[candidate.graph], engine, runs))
    build = math.exp(random.normal(math.log(20), 0.8))
    return World(
        f"made-up-{seed}",
        space,
        tuple(objectives) or (Objective("latency_ms", "minimize"),),
        () if any(one.metric == "error" for one in objectives) else (Constraint("error", "<=", 0.01),),
        tuple(places),
        [30.0 if one["precision"] in LOWERED else 2.0 for one in graphs],
        [build * 1.6 ** _level(settings) * math.exp(random.normal(0, 0.3)) for _, settings in engines],
    )


class _Effects:
    """Time and error of every point, as logarithms."""

    def __init__(self, space: Space, random: np.random.Generator) -> None:
        self._base = random.normal(0, 1)
        self._between = random.uniform(0.001, 0.006)
        sizes = {name: size for _, name, _, size in MENU}
        self._main = {
            (one.name, choice): random.normal(0, sizes[one.name])
            for one in space
            if one.name in sizes
            for choice in one.choices
        }
        self._main.update({("precision", one): at for one, (at, _) in PRECISIONS.items()})
        pairs = list(itertools.combinations(space, 2))
        chosen = random.choice(len(pairs), size=min(4, len(pairs)), replace=False)
        self._pairs = {
            (a.name, x, b.name, y): random.normal(0, 0.06)
            for a, b in (pairs[index] for index in chosen)
            for x in a.choices
            for y in b.choices
        }
        self._sensitivity = random.normal(0, 0.5)
        builds = [one for one in space if one.kind == "build"]
        one = builds[int(random.integers(len(builds)))]
        self._refused = ("int8", one.name, one.choices[-1])

    def is_refused(self, point: Point) -> bool:
        precision, name, choice = self._refused
        return point["precision"] == precision and point[name] == choice

    def latency(self, point: Point) -> float:
        main = sum(self._main[item] for item in point.items())
        both = sum(by for (a, x, b, y), by in self._pairs.items() if point[a] == x and point[b] == y)
        return math.exp(self._base + main + both)

    def error(self, point: Point) -> float:
        keep = int(point.get("keep", 0))
        _, error = PRECISIONS[str(point["precision"])]
        return error * math.exp(self._sensitivity - 0.06 * keep)

    def runs(self, point: Point, random: np.random.Generator) -> tuple[Run, ...]:
        latency, error = self.latency(point), Series(self.error(point))
        found = []
        for _ in range(RUNS):
            deviations = random.normal(0, 0.004, BLOCKS)
            value = latency * math.exp(random.normal(0, self._between))
            metrics = {"latency_ms": Series(value, deviations - deviations.mean()), "error": error}
            found.append(Run(metrics, None, {"load": 0.1, "measure": random.uniform(0.9, 1.8)}))
        return tuple(found)


def _space(random: np.random.Generator) -> Space:
    """The precisions, two or three dimensions of each kind at most."""
    chosen = []
    for kind in ("graph", "build", "run"):
        some = [one for one in MENU if one[0] == kind]
        count = int(random.integers(2, min(3, len(some)) + 1))
        picked = np.sort(random.choice(len(some), count, replace=False))
        chosen += [some[index] for index in picked]
    precision = Dimension("precision", "graph", tuple(PRECISIONS), "fp32", "")
    return (precision, *(_dimension(*one[:3]) for one in chosen))


def _dimension(kind: DimensionKind, name: str, choices: tuple[Value, ...]) -> Dimension:
    applies_to = {"precision": LOWERED} if name == "keep" else {}
    return Dimension(name, kind, choices, choices[0], "", applies_to=applies_to)


def _numbered(keys: Iterable[Key]) -> dict[Key, int]:
    return {key: number for number, key in enumerate(dict.fromkeys(keys))}


def _level(settings: Point) -> int:
    return int(settings.get("level", 3)) - 3
