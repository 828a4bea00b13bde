"""A landscape that was recorded, as a world to be searched."""

import math
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.search.places import Floats, Place, Run, Series
from benchmarks.search.world import World
from engines.core.values import Candidate
from engines.landscapes import file
from engines.landscapes.file import Landscape, Made
from engines.landscapes.truths import pass_levels
from studies.core.objectives import parse_constraints, parse_objectives
from studies.core.records import Objective


def recorded_world(path: Path, beside: Sequence[Objective] = ()) -> World:
    """The landscape in the file, for the objective that it was recorded for, and others beside it."""
    return world_of(path.name.removesuffix(".json.gz"), file.load(path), beside)


def world_of(name: str, landscape: Landscape, beside: Sequence[Objective] = ()) -> World:
    """The landscape with each of its passes at the level of the first."""
    asked = (*parse_objectives([landscape.objective]), *beside)
    named = {one.metric for one in asked}
    constraints = parse_constraints(landscape.constraints)
    candidates = [landscape.candidate(index) for index in range(len(landscape.points))]
    graphs = _Table(landscape.graphs)
    engines = _Table(landscape.engines)
    places = []
    levels = _levels(landscape)
    runs: list[list[file.Run]] = [[] for _ in candidates]
    for run in landscape.runs:
        runs[run.candidate].append(run)
    for candidate, some in zip(candidates, runs, strict=True):
        places.append(
            Place(
                candidate,
                graphs.place(some, "graph", candidate.graph),
                engines.place(some, "engine", (candidate.graph, candidate.build)),
                tuple(_run(one, landscape, candidate, levels[one.round]) for one in some),
            )
        )
    return World(
        name,
        landscape.dimensions,
        asked,
        tuple(one for one in constraints if one.metric not in named),
        tuple(places),
        graphs.seconds,
        engines.seconds,
        landscape.workload,
        landscape.machine,
        landscape.backend,
    )


class _Table:
    """What was made, and beyond that what could not be made: its settings cost their failure once."""

    def __init__(self, made: Sequence[Made]) -> None:
        self.seconds = [one.seconds for one in made]
        self._others: dict[Hashable, int] = {}

    def place(self, runs: Sequence[file.Run], kind: str, settings: Hashable) -> int:
        """The number of the graph or engine that the runs of a candidate have."""
        known = [getattr(run, kind) for run in runs if getattr(run, kind) >= 0]
        if known:
            return int(known[0])
        if settings not in self._others:
            self._others[settings] = len(self.seconds)
            self.seconds.append(0.0)
        place, stage = self._others[settings], "graph" if kind == "graph" else "build"
        # what was only concluded from another failure took no time
        self.seconds[place] = max([self.seconds[place], *(run.seconds.get(stage, 0.0) for run in runs)])
        return place


def _run(run: file.Run, landscape: Landscape, candidate: Candidate, level: float) -> Run:
    seconds = {stage: took for stage, took in run.seconds.items() if stage not in ("graph", "build")}
    if run.failure is not None:
        return Run({}, run.failure.stage, seconds)
    batch = int(candidate.settings.get("batch", landscape.workload.plan.batch))
    return Run(_metrics(run, batch, level), None, seconds)


def _levels(landscape: Landscape) -> list[float]:
    """The level of each pass against the first, of the latency, as a logarithm."""
    rows = [
        (run.candidate, run.round, float(np.log(run.values).mean())) for run in landscape.runs if run.values
    ]
    count = 1 + max((run.round for run in landscape.runs), default=0)
    if not rows:
        return [0.0] * count
    candidates, rounds, logs = (np.array(column) for column in zip(*rows, strict=True))
    found = pass_levels(candidates, rounds, logs).tolist()
    return [*found, *[0.0] * (count - len(found))]


def _metrics(run: file.Run, batch: int, level: float) -> dict[str, Series]:
    """The metrics that a run can be searched for; energy is not recorded."""
    found = {}
    if run.values:
        found["latency_ms"] = _series(np.log(run.values) - level)
        found["throughput"] = _series(np.log(np.array(run.counts) * batch / np.array(run.spans)) + level)
    if run.outputs:
        found["error"] = Series(max(one.relative_l2 for one in run.outputs))
    return found


def _series(logs: Floats) -> Series:
    level = float(logs.mean())
    return Series(math.exp(level), logs - level)
