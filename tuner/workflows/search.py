"""One search from options to files: plans it, runs it, exports an engine and writes the report."""

import math
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from dashboards.words.verdict import prior_notes
from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted
from engines.executors.base import Executor, Job, evaluate
from studies.analysis.comparison import recommended
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord, TrialRecord
from studies.run import finals
from studies.run.interfaces import Observer
from studies.run.limits import BASELINE_SECONDS, Ended, Limits, Stop
from studies.run.loop import StudyLoop
from studies.run.opening import Opening, opened
from studies.search.observations import Earlier
from studies.search.transfer.find import begun_with, priors_of
from studies.setup.naming import choose_study
from tuner.bundles.engine import engine_folder
from tuner.bundles.folder import check_folder
from tuner.bundles.registry import export
from tuner.options import output_files
from tuner.options.budget import limits_of
from tuner.options.output_files import check_output
from tuner.options.search import SearchOptions, storage_url
from tuner.workflows.outcome import Outcome

ENGINE = "engine"
REPORT = "report.html"


def run(options: SearchOptions, observer: Observer, stop: Stop) -> Outcome:
    """Run or continue the study; raises UserError for what the user must fix."""
    place, timeout = options.place, options.budget.timeout
    with opened_for(options, observer) as opening:
        storage, workspace, executor = opening.storage, opening.workspace, opening.executor
        limits = limits_of(options.budget, opening.spec, opening.measurement_plan)
        name, exists = choose_study(storage, opening.spec, place.study, place.mode)
        output = place.output or workspace.reports / name
        _check_folder(output)
        before = storage.read_study(name) if exists else None
        earlier = before.trials if before is not None else ()
        taught: tuple[Earlier, ...] = ()
        if len(earlier) < limits.trials:
            # a model that cannot run is to be found before there is a study of it
            opening.compute_reference()
            taught = begun_with(storage, opening.spec, name, before, place.prior)
        if not exists:
            opening.create_study(name, taught)
        for note in (*opening.question.notes, *prior_notes(priors_of(taught), goes_on=bool(earlier))):
            observer.note(note)
        loop = opening.loop(name, options.request.seed, remeasure=place.remeasure, earlier=taught)
        observer.begin(name, opening.spec, limits, earlier, opening.measurement_plan)
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        ended = _run(loop, limits, stop)
        ending = ended.ending
        if ending != "interrupted":
            executor.close()  # what it holds of the machine is the finalists' now
            ending = finals.hold(loop, opening.question.backend, workspace, stop, end) or ending
        study = storage.read_study(name)
        chosen = recommended(study)
        if chosen is not None and engine_folder(chosen, workspace) is None:
            chosen = _build_again(chosen, executor, observer) if ending != "interrupted" else None
        observer.preparing("writing the report")
        exported = _hand_over(study, chosen, output, workspace)
        trials, repeats = (len(before.trials), len(before.repeats)) if before is not None else (0, 0)
        new = len(study.trials) - trials, len(study.repeats) - repeats
        return Outcome(study, ending, output / REPORT, exported, *new, left=ended.left, limits=limits)


def _check_folder(output: Path) -> None:
    """Make sure that engine and report can be written there, and replace nobody's files."""
    check_folder(output / ENGINE)
    check_output(output / REPORT, output_files.REPORT)


def opened_for(options: SearchOptions, observer: Observer) -> AbstractContextManager[Opening]:
    """Return a context that opens the search that the options describe, with its backend."""
    folder, url = options.place.workspace, storage_url(options.place.workspace, options.place.storage)
    return opened(options.request, folder, url, options.measurement_plan, observer)


def _run(loop: StudyLoop, limits: Limits, stop: Stop) -> Ended:
    try:
        return loop.run(limits, stop)
    except (Interrupted, KeyboardInterrupt):
        return Ended("interrupted")


def _build_again(chosen: TrialRecord, executor: Executor, observer: Observer) -> TrialRecord:
    """Build an engine that is known from storage alone, made in another workspace or deleted since."""
    what = f"building the engine of trial {chosen.number} again"
    observer.preparing(what)
    job = Job(chosen.number, chosen.candidate, BASELINE_SECONDS)
    evaluate(executor, job, lambda _: observer.preparing(what))
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
