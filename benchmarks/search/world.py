"""A landscape as a search meets it: candidates that were measured before, on a simulated clock.

No worker and no database: a trial takes microseconds. Graphs and engines cost their recorded seconds the
first time within one search; what is measured is drawn from the recorded runs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engines.values import Candidate, Machine, Stage, Value, Workload
from studies import space as spaces
from studies.observations import USUAL_VARIANCE, Observation, margin
from studies.records import Constraint, Objective
from studies.space import Point, Space

Floats = NDArray[np.float64]
EXACT: Floats = np.empty(0)


class Series(NamedTuple):
    """A metric in one run: its value, and each block's deviation as a logarithm; none where it is exact."""

    value: float
    deviations: Floats = EXACT


@dataclass(frozen=True, eq=False)
class Run:
    """One measurement of a candidate, or its failure; `seconds` but for making the graph and the engine."""

    metrics: Mapping[str, Series] = field(default_factory=dict)
    failed: Stage | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Place:
    """A candidate with its runs; `graph` and `engine` say which ones it needs."""

    candidate: Candidate
    graph: int
    engine: int
    runs: tuple[Run, ...]


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

    @property
    def metrics(self) -> list[str]:
        """What is asked for and limited."""
        asked, limited = ([one.metric for one in some] for some in (self.objectives, self.constraints))
        return list(dict.fromkeys([*asked, *limited]))

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
            for name in self.metrics
            if name in run.metrics
        }
        known = [metrics[one.metric] for one in self.objectives if one.metric in metrics]
        return Observation(
            place.candidate,
            tuple(value for value, _ in known) if len(known) == len(self.objectives) else None,
            tuple(variance for _, variance in known),
            tuple(
                _margin(one, metrics[one.metric][0] if one.metric in metrics else None)
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
        between = self.between[self.objectives[0].metric]
        count = len(one.deviations)
        if not count:
            return one.value, between**2 + USUAL_VARIANCE
        drawn = one.deviations[random.integers(count, size=count)]
        shift = float(drawn.mean())
        # what differs from run to run cannot be seen in a single one, so it is borrowed from the others
        if is_alone and len(self._residuals[name]):
            shift += float(random.choice(self._residuals[name]))
        within = float(drawn.var()) / max(1, count - 1)
        return one.value * math.exp(shift), between**2 + within

    @cached_property
    def truths(self) -> dict[str, Floats]:
        """The true value of each metric at every place; not a number where it is not known."""
        return {name: np.array([_truth(one.runs, name) for one in self.places]) for name in self.metrics}

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Which places truly have every objective and keep every constraint."""
        known = [np.isfinite(self.truths[one.metric]) for one in self.objectives]
        kept = [
            np.array([is_kept(_margin(one, value)) for value in self.truths[one.metric]])
            for one in self.constraints
        ]
        return np.asarray(np.logical_and.reduce([*known, *kept]))

    @cached_property
    def gaps(self) -> Floats:
        """By how many percent the first objective of each place is worse than the best feasible one's.

        Of infeasible places, as of none found at all: that of the worst feasible one.
        """
        logs = self.losses(0)
        best, worst = logs[self.feasible].min(), logs[self.feasible].max()
        return np.asarray(100 * np.expm1(np.where(self.feasible, logs, worst) - best))

    @cached_property
    def close(self) -> float:
        """A gap in percent that is as good as none: 1, or twice what the truth of the best may be off by.

        The standard error of a median is 1.25 times that of a mean.
        """
        best = int(np.argmin(np.where(self.feasible, self.losses(0), math.inf)))
        residuals = self._residuals[self.objectives[0].metric]
        spread = NORMAL_MAD * float(np.median(np.abs(residuals))) if len(residuals) else 0.0
        return max(1.0, 100 * 2 * 1.25 * spread / math.sqrt(len(self.places[best].runs)))

    def losses(self, objective: int) -> Floats:
        """The logarithm of an objective's true values, so turned that less is better."""
        one = self.objectives[objective]
        logs = np.log(np.maximum(self.truths[one.metric], LEAST))
        return np.asarray(logs if one.direction == "minimize" else -logs)

    @cached_property
    def between(self) -> dict[str, float]:
        """How much each metric differs from run to run beyond what its blocks show, as a logarithm."""
        found = {}
        for name, residuals in self._residuals.items():
            runs = [run.metrics[name] for one in self.places for run in one.runs if name in run.metrics]
            within = [
                one.deviations.var() / max(1, len(one.deviations) - 1) for one in runs if len(one.deviations)
            ]
            total = float(np.mean(residuals**2)) if len(residuals) else 0.0
            found[name] = math.sqrt(max(0.0, total - float(np.mean(within or [0.0]))))
        return found

    @cached_property
    def _residuals(self) -> dict[str, Floats]:
        """By how much single runs of a candidate differ from its mean, freed of that mean's own error."""
        return {
            name: np.array([x for one in self.places for x in _residuals(one, name)]) for name in self.metrics
        }

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


# the standard deviation of a normal distribution by its median absolute deviation
NORMAL_MAD = 1.4826
# an error below this is as good as none
LEAST = 1e-6


def is_kept(margin: float | None) -> bool:
    return margin is not None and margin <= 0


def is_feasible(observation: Observation) -> bool:
    """Whether the observation has its values and keeps every constraint."""
    return observation.values is not None and all(map(is_kept, observation.margins))


def _margin(constraint: Constraint, value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return margin(value, constraint.limit, constraint.operator == "<=")


def _truth(runs: Sequence[Run], metric: str) -> float:
    """The median over runs, since single ones are disturbed; the mean of what does not vary."""
    series = [run.metrics[metric] for run in runs if metric in run.metrics]
    if not series:
        return math.nan
    values = np.array([one.value for one in series])
    varies = any(len(one.deviations) for one in series)
    return float(np.exp(np.median(np.log(values))) if varies else np.mean(values))


def _residuals(place: Place, metric: str) -> Floats:
    series = [run.metrics[metric] for run in place.runs if metric in run.metrics]
    if len(series) < 2 or not any(len(one.deviations) for one in series):
        return EXACT
    logs = np.log([one.value for one in series])
    return np.asarray((logs - np.median(logs)) * math.sqrt(len(logs) / (len(logs) - 1)))
