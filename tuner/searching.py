"""One search from options to files: plans it, runs it, exports the best and writes the report."""

import importlib.metadata
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engines.errors import Interrupted
from engines.isolation import Worker
from engines.values import Candidate, Stage
from engines.workspace import Workspace
from studies.analysis import best
from studies.naming import choose_study
from studies.objectives import DEFAULT_OBJECTIVE
from studies.owner import Ending, Limits, Owner, Stop
from studies.plan import Question, Request, ShapeRequest, settle, specify
from studies.records import StudyRecord, StudySpec, TrialRecord
from studies.storage import open_storage
from tuner.exporting import export
from tuner.options import SearchOptions, storage_url

VERSIONED = ("trt-tuner", "optuna", "numpy", "onnx")


class Watcher(Protocol):
    """Who shows a search to the user."""

    def note(self, text: str) -> None:
        """Something to know before the first trial."""

    def preparing(self, what: str) -> None:
        """What is being done before the first trial."""

    def begin(self, name: str, spec: StudySpec, limits: Limits, records: tuple[TrialRecord, ...]) -> None:
        """The study is about to run; `records` are what an earlier run left."""

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage) -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def close(self) -> None:
        """The search is over."""


@dataclass(frozen=True)
class Outcome:
    """What a search ended with; `exported` is the best engine's folder, None when nothing is feasible."""

    study: StudyRecord
    ending: Ending
    report: Path
    exported: Path | None


@dataclass(frozen=True)
class Plan:
    """What a search would do."""

    spec: StudySpec
    notes: tuple[str, ...]


def plan(options: SearchOptions, watcher: Watcher) -> Plan:
    """What the search would do; nothing is run and nothing kept."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder)).create()
        with _settled(options, workspace, watcher) as (question, _, spec):
            return Plan(spec, question.notes)


def run(options: SearchOptions, watcher: Watcher, stop: Stop) -> Outcome:
    """Runs or goes on with the study; raises UserError for what the user must mend."""
    workspace = Workspace(options.workspace).create()
    with (
        open_storage(storage_url(options.workspace, options.storage)) as storage,
        _settled(options, workspace, watcher) as (question, worker, spec),
    ):
        name, exists = choose_study(storage, spec, options.study, options.mode)
        watcher.preparing("computing the reference outputs")
        worker.prepare(
            question.workload.batch, lambda _: watcher.preparing("computing the reference outputs")
        )
        if not exists:
            storage.create_study(name, spec, versions())
        limits = Limits(options.trials, options.timeout, options.trial_timeout)
        owner = Owner(name, spec, options.policy, storage, worker, watcher, options.seed, options.remeasure)
        watcher.begin(name, spec, limits, storage.read_study(name).trials if exists else ())
        try:
            ending = owner.run(limits, stop)
        except (Interrupted, KeyboardInterrupt):
            worker.kill()
            ending = "interrupted"
        finally:
            watcher.close()
        return _finish(storage.read_study(name), ending, options.output, workspace)


def versions() -> dict[str, str]:
    """The versions of the packages that decide what a search does."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


@contextmanager
def _settled(
    options: SearchOptions, workspace: Workspace, watcher: Watcher
) -> Iterator[tuple[Question, Worker, StudySpec]]:
    watcher.preparing("reading the model")
    question = settle(_request(options), workspace)
    for note in question.notes:
        watcher.note(note)
    watcher.preparing(f"starting the backend {question.backend.backend}")
    with Worker(question.backend, workspace) as worker:
        yield question, worker, specify(question, worker)


def _request(options: SearchOptions) -> Request:
    return Request(
        model=options.model,
        backend=options.backend,
        objectives=options.objectives or (DEFAULT_OBJECTIVE,),
        constraints=options.constraints,
        shapes=ShapeRequest(options.shapes, options.min_shapes, options.opt_shapes, options.max_shapes),
        inputs=options.inputs,
        precision=options.precision,
        fixed=options.fix,
        seed=options.seed,
        policy=options.policy,
    )


def _finish(study: StudyRecord, ending: Ending, output: Path | None, workspace: Workspace) -> Outcome:
    from dashboards.page import write

    folder = output or workspace.reports / study.name
    folder.mkdir(parents=True, exist_ok=True)
    winner = best(study)
    exported = export(study, winner, folder / "best", workspace) if winner is not None else None
    report = folder / "report.html"
    write(study, report)
    return Outcome(study, ending, report, exported)
