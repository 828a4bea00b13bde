"""Owners over the fake backend, in this process, and all that they ask for and tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import optuna

from engines.artifacts.fingerprints import completed
from engines.artifacts.workspace import Workspace
from engines.backends.fake.backend import Fake
from engines.core.results import Evaluation, Failure, FailureKind
from engines.core.values import NOTHING, Bar, Candidate, Settings, Stage, Workload
from engines.trials.evaluation import evaluate_unless_measured
from engines.trials.session import Bench
from studies.core.objectives import parse_constraints, parse_objectives
from studies.core.records import StudySpec, TrialRecord
from studies.core.space import baseline_of, narrow
from studies.run.limits import Limits, Stop
from studies.run.loop import Owner
from studies.search.listing import Listing, random_points
from studies.search.stopping import Left
from studies.storage.storage import Storage
from tests.workloads import QUICK

NOTHING_MEASURED: Mapping[str, Evaluation] = {}
Verdict = Callable[[Candidate], Evaluation | None]


class Here:
    """Evaluates on the fake in this process; `verdict` may decide what comes of a candidate instead."""

    def __init__(
        self,
        workload: Workload,
        workspace: Workspace,
        verdict: Verdict = lambda _: None,
        options: Settings = NOTHING,
    ) -> None:
        self.bench = Bench(Fake(options, workspace.caches), workload, workspace, QUICK)
        self.verdict = verdict
        self.asked: list[Candidate] = []
        self.limits: list[float] = []
        self.bars: list[Bar | None] = []

    def evaluate(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: Callable[[Stage, str], None],
        bar: Bar | None = None,
        measured: Mapping[str, Evaluation] = NOTHING_MEASURED,
    ) -> Evaluation:
        self.asked.append(candidate)
        self.limits.append(seconds)
        self.bars.append(bar)
        told = self.verdict(candidate)
        if told is not None:
            return told
        found = evaluate_unless_measured(self.bench, candidate, on_progress, bar, measured)
        if isinstance(found, Evaluation):
            return found
        return completed(candidate, found, measured[found.fingerprint])

    def log_position(self) -> int:
        return len(self.asked)

    def log_since(self, position: int) -> str:
        return f"evaluation {position}\n" * (len(self.asked) - position)


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

    def preparing(self, what: str) -> None:
        self.doing.append(what)

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


def owner_of(storage: Storage, spec: StudySpec, executor: Here, name: str = "study") -> Owner:
    if storage.find_spec(name) is None:
        storage.create_study(name, spec, {})
    return Owner(name, spec, storage, executor, Notes())


def in_order(owner: Owner) -> Owner:
    """The owner, trying every candidate whatever is found."""
    order = random_points(owner.spec.space, 999, seed=0)
    return replace(owner, sampler=partial(Listing, owner.spec.space, order))


def run(owner: Owner, trials: int, **limits: float) -> str:
    return owner.run(Limits(trials, **limits), Stop()).ending


def records_of(owner: Owner) -> list[TrialRecord]:
    assert isinstance(owner.observer, Notes)
    return owner.observer.records


def optuna_trials(storage: Storage, name: str = "study") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage.url).trials


def failed(stage: Stage, kind: FailureKind, message: str = "no luck") -> Callable[[Candidate], Evaluation]:
    return lambda candidate: Evaluation(candidate, failure=Failure(stage, kind, message))
