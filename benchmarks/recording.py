"""Measurements kept block by block, small enough for a repository, to be replayed as studies.

Of a block its median latency and its span are left: the statistics of a replay are those of the medians.
"""

import gzip
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from benchmarks.subjects import Subject
from engines.core.results import Accuracy, Block, Evaluation, Failure, FailureKind, Measurement, OutputError
from engines.core.values import Candidate, Policy
from engines.core.wire import from_json, to_json
from engines.statistics.estimates import counted
from engines.statistics.metrics import METRICS
from studies.core.records import StudySpec
from studies.run.opening import versions

# beyond what any timer resolves
DIGITS = 7


@dataclass(frozen=True)
class Run:
    """A candidate measured once: the objective of each block and its span in seconds; none if it failed."""

    round: int
    candidate: int
    values: tuple[float, ...] = ()
    spans: tuple[float, ...] = ()
    error: float | None = None
    failure: FailureKind | None = None


@dataclass(frozen=True)
class Recording:
    """Runs in the order they were made; candidates are numbered, the baseline is 0."""

    command: str
    date: str
    versions: Mapping[str, str]
    spec: StudySpec
    policy: Policy
    candidates: tuple[Candidate, ...]
    runs: tuple[Run, ...]

    @property
    def rounds(self) -> int:
        return 1 + max(run.round for run in self.runs)

    def lines(self) -> str:
        """How it was made, for behind a benchmark's heading."""
        machine = self.spec.machine
        libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
        driver = f", driver {machine.driver}" if machine.driver else ""
        return (
            f"recorded  {self.date} by {self.command}\n"
            f"backend   {self.spec.backend} on {machine.processor}{driver}, {libraries}\n"
            f"runs      {len(self.runs)} of {len(self.candidates)} candidates in {self.rounds} rounds"
        )


def run_of(number: int, candidate: int, evaluation: Evaluation, metric: str) -> Run:
    """What is kept of an evaluation; blocks that do not count are left out."""
    error = _rounded(evaluation.accuracy.error) if evaluation.accuracy else None
    measurement = evaluation.measurement
    if measurement is None:
        assert evaluation.failure is not None
        return Run(number, candidate, error=error, failure=evaluation.failure.kind)
    blocks = counted(measurement.blocks)
    singles = [METRICS[metric].derive(replace(measurement, blocks=(block,))) for block in blocks]
    values = tuple(_rounded(one.value) for one in singles if one is not None)
    return Run(number, candidate, values, tuple(_rounded(block.span_seconds) for block in blocks), error)


def evaluation_of(recording: Recording, run: Run) -> Evaluation:
    """The run as an evaluation, each block of one latency."""
    candidate = recording.candidates[run.candidate]
    accuracy = None if run.error is None else Accuracy((OutputError("output", run.error, run.error),), 1)
    if run.failure is not None:
        return Evaluation(candidate, accuracy=accuracy, failure=Failure("measure", run.failure, "recorded"))
    blocks = tuple(
        Block(np.array([value]), span, 0.0) for value, span in zip(run.values, run.spans, strict=True)
    )
    batch = recording.spec.workload.plan.batch
    measurement = Measurement(blocks, batch, 1, 0.0, 0, converged=True)
    return Evaluation(candidate, accuracy=accuracy, measurement=measurement)


def recording_of(subject: Subject, candidates: Sequence[Candidate], runs: Sequence[Run]) -> Recording:
    """The runs with where they come from; paths are left out."""
    model = subject.spec.workload.model
    workload = replace(subject.spec.workload, model=replace(model, file=replace(model.file, where="")))
    command = " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *map(_shown, sys.argv[1:])])
    return Recording(
        command=command,
        date=date.today().isoformat(),
        versions={"python": sys.version.split()[0], **versions()},
        spec=replace(subject.spec, workload=workload),
        policy=subject.opening.policy,
        candidates=tuple(candidates),
        runs=tuple(runs),
    )


def save(path: Path, recording: Recording) -> None:
    """Writes the recording; the same bytes for the same recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(to_json(recording), mtime=0))


def load(path: Path) -> Recording:
    return from_json(gzip.decompress(path.read_bytes()), Recording)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _shown(argument: str) -> str:
    """The argument without the folders of a path."""
    return Path(argument).name if argument.startswith("/") else argument
