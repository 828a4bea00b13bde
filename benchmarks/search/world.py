"""A landscape as a search meets it: candidates that were measured before, on a simulated clock.

No worker and no database: a trial takes microseconds. Graphs and engines cost their recorded seconds the
first time within one search; what is measured is drawn from the recorded runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.places import Place, Run, Series
from benchmarks.search.truths import Truths, is_kept, margin_of
from engines.core.values import Machine, Value, Workload
from studies.core import space as spaces
from studies.core.records import Constraint, Objective
from studies.core.space import Point, Space
from studies.search.observations import USUAL_VARIANCE, Observation


@dataclass
class State:
    """What one search has made so far, and how long it took."""

    graphs: set[int] = field(default_factory=set)
    engines: set[int] = field(default_factory=set)
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class World:
    """Everything there is to find; place 0 is the baseline, which may lie outside of the space.

    `graph_seconds` and `engine_seconds` are what making each one takes. `workload` and `machine` are None
    for a made-up world, and `backend` is empty.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    places: tuple[Place, ...]
    graph_seconds: Sequence[float]
    engine_seconds: Sequence[float]
    workload: Workload | None = None
    machine: Machine | None = None
    backend: str = ""

    @property
    def is_made_up(self) -> bool:
        return self.workload is None

    @cached_property
    def truths(self) -> Truths:
        return Truths(self.places, self.objectives, self.constraints)

    @cached_property
    def searched(self) -> Space:
        return spaces.searched(self.space)

    @cached_property
    def listed(self) -> list[dict[str, Value]]:
        """The points that were recorded, in the order of the space."""
        return [self.point(index) for index in self.inside]

    @cached_property
    def inside(self) -> list[int]:
        """The places that are in the space, the last dimension changing fastest."""
        found = {self.key(one.candidate.settings): index for index, one in self._contained()}
        return [found[key] for key in sorted(found)]

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """The point of every place in `inside`, as numbers of choices."""
        return np.array([self.key(self.places[index].candidate.settings) for index in self.inside])

    @cached_property
    def is_whole(self) -> bool:
        """Whether every point of the space was recorded."""
        return len(self.inside) == spaces.size(self.space)

    def point(self, index: int) -> dict[str, Value]:
        """The searched settings of a place."""
        settings = self.places[index].candidate.settings
        return {dimension.name: settings[dimension.name] for dimension in self.searched}

    def key(self, point: Point) -> tuple[int, ...]:
        """The point as numbers of choices; it must be a point of the space."""
        whole = spaces.settled(self.space, point)
        return tuple(numbers[whole[name]] for name, numbers in self._numbers)

    def index_of(self, point: Point) -> int | None:
        """The place at the point; None where nothing was recorded there."""
        try:
            return self._indices.get(self.key(point))
        except KeyError:
            return None

    def nearest(
        self, point: Point, random: np.random.Generator, among: NDArray[np.bool_] | None = None
    ) -> int:
        """The recorded place that differs from the point in the fewest dimensions, ties at random.

        `among` are those of `inside` that may be chosen.
        """
        differing = (self.codes != np.array(self.key(point))).sum(axis=1)
        if among is not None:
            differing = np.where(among, differing, len(self.searched) + 1)
        return self.inside[int(random.choice(np.flatnonzero(differing == differing.min())))]

    def try_(self, index: int, random: np.random.Generator, state: State) -> Observation:
        """What a search would see of the place, and the clock moved on."""
        place = self.places[index]
        run = place.runs[int(random.integers(len(place.runs)))]
        seconds = {**self._making(place, run, state), **run.seconds}
        state.seconds += sum(seconds.values())
        if run.failed is not None:
            return Observation(
                place.candidate, None, (), (None,) * len(self.constraints), run.failed, seconds
            )
        is_alone = len(place.runs) == 1
        metrics = {
            name: self._drawn(name, run.metrics[name], is_alone, random)
            for name in self.truths.metrics
            if name in run.metrics
        }
        known = [metrics[one.metric] for one in self.objectives if one.metric in metrics]
        return Observation(
            place.candidate,
            tuple(value for value, _ in known) if len(known) == len(self.objectives) else None,
            tuple(variance for _, variance in known),
            tuple(
                margin_of(one, metrics[one.metric][0] if one.metric in metrics else None)
                for one in self.constraints
            ),
            None,
            seconds,
        )

    def _making(self, place: Place, run: Run, state: State) -> dict[str, float]:
        """The seconds of the graph and the engine, where this search has not made them yet."""
        made = {}
        if place.graph not in state.graphs:
            state.graphs.add(place.graph)
            made["graph"] = self.graph_seconds[place.graph]
        if run.failed not in ("prepare", "graph") and place.engine not in state.engines:
            state.engines.add(place.engine)
            made["build"] = self.engine_seconds[place.engine]
        return made

    def _drawn(
        self, name: str, one: Series, is_alone: bool, random: np.random.Generator
    ) -> tuple[float, float]:
        """A value with blocks drawn anew, and the variance of its logarithm."""
        between = self.truths.between[self.objectives[0].metric]
        count = len(one.deviations)
        if not count:
            return one.value, between**2 + USUAL_VARIANCE
        drawn = one.deviations[random.integers(count, size=count)]
        shift = float(drawn.mean())
        # what differs from run to run cannot be seen in a single one, so it is borrowed from the others
        residuals = self.truths.residuals[name]
        if is_alone and len(residuals):
            shift += float(random.choice(residuals))
        within = float(drawn.var()) / max(1, count - 1)
        return one.value * math.exp(shift), between**2 + within

    @cached_property
    def _numbers(self) -> list[tuple[str, dict[Value, int]]]:
        return [(one.name, {choice: i for i, choice in enumerate(one.choices)}) for one in self.searched]

    @cached_property
    def _indices(self) -> dict[tuple[int, ...], int]:
        return {tuple(key): index for key, index in zip(self.codes.tolist(), self.inside, strict=True)}

    def _contained(self) -> list[tuple[int, Place]]:
        return [
            (index, one)
            for index, one in enumerate(self.places)
            if spaces.contains(self.space, one.candidate.settings)
        ]


def is_feasible(observation: Observation) -> bool:
    """Whether the observation has its values and keeps every constraint."""
    return observation.values is not None and all(map(is_kept, observation.margins))
