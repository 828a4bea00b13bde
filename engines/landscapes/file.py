"""A recorded search space, small enough for a repository, whose candidates can be replayed.

Each block keeps its median latency, inferences and span, and each run the shape of its latencies.
"""

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engines.artifacts.workspace import write_file
from engines.core import earlier
from engines.core.errors import UserError
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import (
    Candidate,
    Dimension,
    FileRef,
    InputSource,
    Machine,
    Policy,
    Samples,
    Settings,
    Value,
    Workload,
)
from engines.core.wire import to_json, to_plain
from engines.data.named_files import require_file
from engines.statistics.estimates import counted

# beyond what timers resolve
DIGITS = 6
# of the latencies in a run, each divided by the median of its block
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Made:
    """A graph or an engine, and the seconds that making it took."""

    digest: str
    size_bytes: int
    seconds: float
    facts: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One measurement of a candidate, or its failure.

    `values` is the median latency in ms of each counted block, `counts` its inferences, `spans` its seconds;
    `shape` are the QUANTILES of the latencies, each divided by the median of its block. `outputs` is empty if
    nothing was compared. `seconds` are those of each stage, without the time to make a graph or an engine.
    `graph` and `engine` are indices into the landscape's tables, -1 for none.
    """

    candidate: int
    round: int
    values: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    spans: tuple[float, ...] = ()
    shape: tuple[float, ...] = ()
    outputs: tuple[OutputError, ...] = ()
    failure: Failure | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    graph: int = -1
    engine: int = -1


@dataclass(frozen=True)
class Landscape:
    """Every candidate that was recorded, and its runs in the order they were made.

    Candidate 0 is the baseline. `dimensions` are the space that was recorded, `points` each candidate as
    places in their choices: () for a baseline outside of it. `objective` is the metric that the study had,
    `constraints` are as text. Round 0 is the pass over all, later ones are over the best.
    """

    command: str
    date: str
    versions: Mapping[str, str]
    backend: str
    machine: Machine
    workload: Workload
    policy: Policy
    objective: str
    constraints: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    baseline: Candidate
    points: tuple[tuple[int, ...], ...]
    graphs: tuple[Made, ...]
    engines: tuple[Made, ...]
    runs: tuple[Run, ...]

    def candidate(self, index: int) -> Candidate:
        """Return the candidate of that number."""
        if not self.points[index]:
            return self.baseline
        chosen = tuple(zip(self.dimensions, self.points[index], strict=True))

        def settings(kind: str) -> Settings:
            return Settings({one.name: one.choices[place] for one, place in chosen if one.kind == kind})

        return Candidate(graph=settings("graph"), build=settings("build"), run=settings("run"))


class Misfit(Exception):
    """A part of a landscape does not fit the rest, in a few words."""


def save(path: Path, landscape: Landscape) -> None:
    """Write the landscape without paths; the same bytes for the same landscape."""
    plain = to_plain(replace(landscape, workload=without_paths(landscape.workload)))
    for name in ("graphs", "engines", "runs"):
        plain[name] = _rounded(plain[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, gzip.compress(to_json(plain), mtime=0))


def load(path: Path) -> Landscape:
    """Read the landscape in a file; raises UserError if it is missing or inconsistent."""
    require_file(path, "Give a file that tuner record wrote.")
    try:
        found = earlier.from_json(gzip.decompress(path.read_bytes()), Landscape)
        check_parts(found)
        return found
    except OSError as error:
        raise UserError(
            f"cannot read the landscape {str(path)!r}: {error.strerror or error}",
            "Give a file that tuner record wrote.",
        ) from error
    except (EOFError, zlib.error, msgspec.DecodeError, Misfit) as error:
        raise UserError(
            f"{str(path)!r} is not a valid landscape: {error}", "Record it again with tuner record."
        ) from error


def check_parts(landscape: Landscape) -> None:
    """Raise Misfit if a part is missing or refers to something that the others lack."""
    dimensions, points, runs = landscape.dimensions, landscape.points, landscape.runs
    names = {one.name for one in dimensions}
    _require(bool(names) and names == set(landscape.baseline.settings), "its baseline is of another space")
    _require(bool(points), "it has no candidates")
    for index, point in enumerate(points):
        is_outside = index == 0 and point == ()
        _require(is_outside or _is_inside(point, dimensions), f"candidate {index} is not in its space")
    _require(landscape.candidate(0) == landscape.baseline, "candidate 0 is not the baseline")
    _require(any(run.candidate == 0 for run in runs), "the baseline has no run")
    for index, run in enumerate(runs):
        _require(_is_known(run, landscape), f"run {index} has no candidate, graph or engine")
        _require(_is_whole(run), f"run {index} is not whole")


def _require(fits: bool, otherwise: str) -> None:
    if not fits:
        raise Misfit(otherwise)


def _is_inside(point: Sequence[int], dimensions: Sequence[Dimension]) -> bool:
    return len(point) == len(dimensions) and all(
        0 <= place < len(one.choices) for place, one in zip(point, dimensions, strict=True)
    )


def _is_known(run: Run, landscape: Landscape) -> bool:
    return (
        run.round >= 0
        and 0 <= run.candidate < len(landscape.points)
        and -1 <= run.graph < len(landscape.graphs)
        and -1 <= run.engine < len(landscape.engines)
    )


def _is_whole(run: Run) -> bool:
    """It failed, or each of its blocks has all that is kept of one."""
    if len({len(run.values), len(run.counts), len(run.spans)}) > 1:
        return False
    if not run.values:
        return run.failure is not None
    return len(run.shape) == len(QUANTILES) and min(*run.values, *run.counts, *run.spans, *run.shape) > 0


def without_paths(workload: Workload) -> Workload:
    """The workload without the places of its files."""
    model = replace(workload.model, file=_unplaced(workload.model.file))
    sources = (workload.inputs, workload.calibration, workload.expected)
    inputs, calibration, expected = map(_named, sources)
    assert inputs is not None
    metrics = tuple(replace(metric, file=_unplaced(metric.file)) for metric in workload.metrics)
    return replace(
        workload, model=model, inputs=inputs, calibration=calibration, expected=expected, metrics=metrics
    )


def run_of(evaluation: Evaluation, candidate: int, number: int, graph: int = -1, engine: int = -1) -> Run:
    """Return the run that is kept of an evaluation in a round; blocks that do not count are left out."""
    measurement = evaluation.measurement
    blocks = counted(measurement.blocks) if measurement is not None else ()
    medians = [float(np.median(block.latency_ms)) for block in blocks]
    return Run(
        candidate=candidate,
        round=number,
        values=tuple(medians),
        counts=tuple(len(block.latency_ms) for block in blocks),
        spans=tuple(block.span_seconds for block in blocks),
        shape=_shape(blocks, medians),
        outputs=evaluation.accuracy.outputs if evaluation.accuracy else (),
        failure=evaluation.failure,
        seconds=_seconds_of(evaluation),
        graph=graph,
        engine=engine,
    )


def evaluation_of(landscape: Landscape, run: Run) -> Evaluation:
    """Return the run's evaluation, with latencies within a block drawn from the run's shape."""
    candidate = landscape.candidate(run.candidate)
    return Evaluation(
        candidate=candidate,
        graph=_artifact(landscape.graphs, run.graph),
        engine=_artifact(landscape.engines, run.engine),
        accuracy=Accuracy(run.outputs, 1) if run.outputs else None,
        measurement=None if run.failure is not None else _measurement(landscape, run, candidate),
        failure=run.failure,
        stage_seconds=run.seconds,
    )


def latencies(median_ms: float, count: int, shape: Sequence[float], at: Samples | None = None) -> Samples:
    """So many latencies of that median and shape, in ms.

    `at` are the shares of the distribution at which they lie, evenly spread without it.
    """
    places = (np.arange(count) + 0.5) / count if at is None else at
    relative = np.interp(places, QUANTILES, shape)
    return median_ms * relative / float(np.median(relative))


def _measurement(landscape: Landscape, run: Run, candidate: Candidate) -> Measurement:
    blocks = (
        Block(latencies(value, count, run.shape), span, 0.0)
        for value, count, span in zip(run.values, run.counts, run.spans, strict=True)
    )
    batch = int(candidate.settings.get("batch", landscape.workload.plan.batch))
    streams = int(candidate.run.get("streams", 1))
    return Measurement(tuple(blocks), batch, streams, 0.0, 0, converged=True)


def _artifact(table: Sequence[Made], place: int) -> Artifact | None:
    if place < 0:
        return None
    made = table[place]
    return Artifact(made.digest, made.size_bytes, made.seconds, reused=False, facts=made.facts)


def _shape(blocks: Sequence[Block], medians: Sequence[float]) -> tuple[float, ...]:
    if not blocks:
        return ()
    pooled = np.concatenate(
        [block.latency_ms / median for block, median in zip(blocks, medians, strict=True)]
    )
    return tuple(map(float, np.quantile(pooled, QUANTILES)))


def _seconds_of(evaluation: Evaluation) -> dict[str, float]:
    """Seconds of each stage, but for those that made a graph or an engine, or found one."""
    made = {"graph": evaluation.graph, "build": evaluation.engine}
    return {stage: seconds for stage, seconds in evaluation.stage_seconds.items() if made.get(stage) is None}


def _named(source: InputSource | None) -> InputSource | None:
    return source and replace(source, file=source.file and _unplaced(source.file))


def _unplaced(file: FileRef) -> FileRef:
    return replace(file, where="")


def _rounded(value: Any) -> Any:
    """The same with every number short."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value
