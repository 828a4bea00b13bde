"""Searches over the fake backend, in this process, and all that they ask for and tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import optuna

from engines.artifacts.fingerprints import Reused
from engines.artifacts.workspace import Workspace
from engines.backends.fake.backend import Fake
from engines.core.results import Evaluation, Failure, FailureKind
from engines.core.values import NOTHING, Bar, Candidate, Settings, Stage, Workload
from engines.executors.base import Job
from engines.machine.device import Device
from engines.worker.protocol import Open
from studies.core.objectives import parse_constraints, parse_objectives
from studies.core.records import StudySpec, TrialRecord
from studies.core.space import baseline_of, narrow
from studies.recording.passes import Listing, random_points
from studies.run.limits import Limits, Stop
from studies.run.loop import StudyLoop
from studies.search.stopping import Left
from studies.storage.storage import Storage
from tests.executors import HERE, Choose, InProcessExecutor
from tests.workloads import QUICK

Verdict = Callable[[Candidate], Evaluation | None]


class Here(InProcessExecutor):
    """Evaluates on the fake in this process; `verdict` may decide what comes of a candidate instead."""

    def __init__(
        self,
        workload: Workload,
        workspace: Workspace,
        verdict: Verdict = lambda _: None,
        options: Settings = NOTHING,
        devices: Sequence[Device] = (HERE,),
        choose: Choose = lambda jobs: jobs[0],
    ) -> None:
        opening = Open("fake", options, str(workspace.root), workload, QUICK, concurrent=False)
        super().__init__(opening, workspace, devices, choose)
        self.open()
        self.verdict = verdict
        self.asked: list[Candidate] = []
        self.limits: list[float] = []
        self.bars: list[Bar | None] = []

    def evaluate(self, job: Job, report: Callable[[Stage, str], None]) -> Evaluation | Reused:
        self.asked.append(job.candidate)
        self.limits.append(job.seconds)
        self.bars.append(job.bar)
        return self.verdict(job.candidate) or super().evaluate(job, report)

    def log(self, job: Job) -> str:
        return f"evaluation {len(self.asked) - 1}\n"


@dataclass
class Notes:
    """An observer that keeps what it is told; `when_finished` is called with every record."""

    when_finished: Callable[[TrialRecord], None] = lambda record: None
    started_with: list[tuple[int, Candidate]] = field(default_factory=list)
    stages: list[tuple[int, Stage]] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doing: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def expecting(self, left: Left) -> None:
        self.left.append(left)

    def preparing(self, what: str, seconds_left: float | None = None) -> None:
        self.doing.append(what)

    def begin(self, *_: object) -> None: ...

    def stopping(self) -> None: ...

    def close(self) -> None: ...

    def started(self, number: int, candidate: Candidate) -> None:
        self.started_with.append((number, candidate))

    def stage(self, number: int, stage: Stage, detail: str = "") -> None:
        self.stages.append((number, stage))

    def finished(self, record: TrialRecord) -> None:
        self.records.append(record)
        self.when_finished(record)


def spec_of(
    workload: Workload,
    fixed: Mapping[str, Sequence[str]] | None = None,
    constraints: Sequence[str] = (),
    options: Settings = NOTHING,
) -> StudySpec:
    backend = Fake(options, Path())
    dimensions = backend.dimensions(workload, concurrent=False)
    return StudySpec(
        workload=workload,
        backend="fake",
        backend_options=options,
        machine=backend.machine(),
        objectives=parse_objectives(()),
        constraints=parse_constraints(constraints),
        space=narrow(dimensions, fixed or {}),
        baseline=baseline_of(dimensions),
        policy=QUICK,
    )


def loop_of(storage: Storage, spec: StudySpec, executor: Here, name: str = "study") -> StudyLoop:
    if storage.find_spec(name) is None:
        storage.create_study(name, spec, {})
    return StudyLoop(name, spec, storage, executor, Notes())


def in_order(loop: StudyLoop) -> StudyLoop:
    """The loop, trying every candidate whatever is found."""
    order = random_points(loop.spec.space, 999, seed=0)
    return replace(loop, sampler=partial(Listing, loop.spec.space, order))


def run(loop: StudyLoop, trials: int, **limits: float) -> str:
    return loop.run(Limits(trials, **limits), Stop()).ending


def records_of(loop: StudyLoop) -> list[TrialRecord]:
    assert isinstance(loop.observer, Notes)
    return loop.observer.records


def optuna_trials(storage: Storage, name: str = "study") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage.url).trials


def failed(stage: Stage, kind: FailureKind, message: str = "no luck") -> Callable[[Candidate], Evaluation]:
    return lambda candidate: Evaluation(candidate, failure=Failure(stage, kind, message))
