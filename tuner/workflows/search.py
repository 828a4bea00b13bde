"""One search from options to files: plans it, runs it, exports an engine and writes the report."""

import importlib.metadata
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from dashboards.words.verdict import prior_notes
from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted
from engines.core.values import Candidate, Stage
from engines.worker.client import Worker
from studies.analysis.comparison import recommended
from studies.analysis.view import StudyView
from studies.belief.rigour import TRIALS_ALONE, Rigour, fitting
from studies.core.records import StudyRecord, StudySpec, TrialRecord
from studies.run.limits import BASELINE_SECONDS, Ended, Limits, Stop
from studies.run.loop import Owner
from studies.search.observations import Earlier
from studies.search.stopping import Left
from studies.search.transfer.find import begun_with, priors_of
from studies.setup.naming import choose_study
from studies.setup.spec import Question, settle, specify
from studies.storage.storage import open_storage
from tuner.bundles.engine import engine_folder
from tuner.bundles.folder import check_folder
from tuner.bundles.registry import export
from tuner.options import output_files
from tuner.options.budget import limits_of
from tuner.options.output_files import check_output
from tuner.options.search import SearchOptions, storage_url
from tuner.workflows import finals
from tuner.workflows.outcome import Outcome

VERSIONED = ("trt-tuner", "optuna", "numpy", "onnx")
ENGINE = "engine"
REPORT = "report.html"


class Watcher(Protocol):
    """Who shows a search to the user."""

    def note(self, text: str) -> None:
        """Something to know before the first trial."""

    def preparing(self, what: str) -> None:
        """What is being done outside a trial; may be called again and again."""

    def begin(
        self,
        name: str,
        spec: StudySpec,
        limits: Limits,
        records: tuple[TrialRecord, ...],
        rigour: Rigour = TRIALS_ALONE,
    ) -> None:
        """The study is about to run; `records` are what an earlier run left."""

    def expecting(self, left: Left) -> None:
        """What is still to be gained, whenever that is known anew."""

    def started(self, number: int, candidate: Candidate) -> None: ...

    def stage(self, number: int, stage: Stage, detail: str = "") -> None: ...

    def finished(self, record: TrialRecord) -> None: ...

    def stopping(self) -> None:
        """The user asked to stop after this trial; called by a signal handler, so nothing may be printed."""

    def close(self) -> None:
        """The search is over; may be called twice."""


def run(options: SearchOptions, watcher: Watcher, stop: Stop) -> Outcome:
    """Runs or goes on with the study; raises UserError for what the user must mend."""
    workspace = Workspace(options.place.workspace).create()
    with (
        open_storage(storage_url(options.place.workspace, options.place.storage)) as storage,
        settled(options, workspace, watcher) as (question, worker, spec),
    ):
        rigour = fitting(options.rigour, spec.objectives)
        limits = limits_of(options.budget, spec, rigour)
        name, exists = choose_study(storage, spec, options.place.study, options.place.mode)
        output = options.place.output or workspace.reports / name
        _check_folder(output)
        before = storage.read_study(name) if exists else None
        earlier = before.trials if before is not None else ()
        taught: tuple[Earlier, ...] = ()
        if len(earlier) < limits.trials:
            # a model that cannot run is to be found before there is a study of it
            compute_reference(worker, question, watcher)
            taught = begun_with(storage, spec, name, before, options.place.prior)
        if not exists:
            storage.create_study(name, spec, versions(), priors_of(taught))
        for note in (*question.notes, *prior_notes(priors_of(taught), goes_on=bool(earlier))):
            watcher.note(note)
        seed, remeasure = options.request.seed, options.place.remeasure
        owner = Owner(name, spec, storage, worker, watcher, seed, remeasure, rigour, taught)
        watcher.begin(name, spec, limits, earlier, rigour)
        end = time.monotonic() + (math.inf if options.budget.timeout is None else options.budget.timeout)
        ended = _run(owner, worker, limits, stop)
        ending = ended.ending
        if ending != "interrupted":
            worker.close()  # what it holds of the machine is the finalists' now
            ending = finals.hold(owner, question.backend, workspace, stop, end) or ending
        study = storage.read_study(name)
        chosen = recommended(study)
        if chosen is not None and engine_folder(chosen, workspace) is None:
            chosen = _build_again(chosen, worker, watcher) if ending != "interrupted" else None
        watcher.preparing("writing the report")
        exported = _hand_over(study, chosen, output, workspace)
        trials, repeats = (len(before.trials), len(before.repeats)) if before is not None else (0, 0)
        new = len(study.trials) - trials, len(study.repeats) - repeats
        return Outcome(study, ending, output / REPORT, exported, *new, left=ended.left, limits=limits)


def _check_folder(output: Path) -> None:
    """Makes sure that engine and report can be written there, and replace nobody's files."""
    check_folder(output / ENGINE)
    check_output(output / REPORT, output_files.REPORT)


def versions() -> dict[str, str]:
    """The versions of the packages that decide what a search does."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


@contextmanager
def settled(
    options: SearchOptions, workspace: Workspace, watcher: Watcher
) -> Iterator[tuple[Question, Worker, StudySpec]]:
    """The question, a worker with the backend open, and the study's specification."""
    watcher.preparing("reading the model")
    question = settle(options.request, workspace)
    watcher.preparing(f"starting the backend {question.backend.backend}")
    with Worker(question.backend, workspace) as worker:
        spec, notes = specify(question, worker.open())
        yield replace(question, notes=notes), worker, spec


def compute_reference(worker: Worker, question: Question, watcher: Watcher) -> None:
    """Has the right outputs ready; raises UserError for a model that cannot run."""
    what = "computing the reference outputs"
    watcher.preparing(what)
    worker.prepare(question.workload.plan.batch, lambda *_: watcher.preparing(what))


def _run(owner: Owner, worker: Worker, limits: Limits, stop: Stop) -> Ended:
    try:
        return owner.run(limits, stop)
    except (Interrupted, KeyboardInterrupt):
        worker.kill()
        return Ended("interrupted")


def _build_again(chosen: TrialRecord, worker: Worker, watcher: Watcher) -> TrialRecord:
    """Builds an engine that is known from storage alone, made in another workspace or deleted since."""
    what = f"building the engine of trial {chosen.number} again"
    watcher.preparing(what)
    worker.evaluate(chosen.candidate, BASELINE_SECONDS, lambda *_: watcher.preparing(what))
    return chosen


def _hand_over(
    study: StudyRecord, chosen: TrialRecord | None, output: Path, workspace: Workspace
) -> Path | None:
    from dashboards.pages.study import write

    write(StudyView(study), output / REPORT)
    if chosen is None:
        with suppress(OSError):  # of an earlier search, and no engine of this one
            (output / ENGINE).rmdir()
        return None
    return export(study, chosen, output / ENGINE, workspace)
