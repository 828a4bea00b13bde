"""A whole space measured into a study, and the best of it again; written as a landscape to be replayed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.backends.registry import parse_backend
from engines.core.errors import Interrupted, UserError
from engines.core.values import Policy
from engines.landscapes.file import save
from engines.worker.client import Worker
from studies.belief.rigour import fitting
from studies.core.identity import evaluation_key
from studies.core.records import RepeatRecord, StudyRecord, StudySpec
from studies.recording.export import landscape_of
from studies.recording.passes import best_of, order_of, schedule
from studies.run.limits import BASELINE_SECONDS, Ending, Limits, Stop
from studies.run.loop import Owner, stop_on_full_disk
from studies.search.listing import Listing, random_points
from studies.setup.naming import choose_study, stem
from studies.storage.database import parse_url
from studies.storage.storage import Storage, open_storage
from tuner.options.budget import candidates_of, lasting
from tuner.options.output_files import LANDSCAPE, cannot_write, check_output
from tuner.options.record import RecordOptions
from tuner.options.search import SearchOptions, storage_url
from tuner.workflows.search import Watcher, compute_reference, settled, versions

# more take days, and that should be meant
MOST_CANDIDATES = 5_000
FILE = "landscape.json.gz"
# of a limited time, for all candidates once: the best are to be known well, whatever is left out
FIRST_SHARE = 2 / 3


@dataclass(frozen=True)
class Recorded:
    """What was recorded; `file` is None where there was nothing to write, `new_runs` counts what this run
    added to the study.
    """

    study: StudyRecord
    ending: Ending
    file: Path | None
    candidates: int
    new_runs: int


def run(options: RecordOptions, watcher: Watcher, stop: Stop) -> Recorded:
    """Records or goes on recording; raises UserError for what the user must mend."""
    search = _as_asked(options)
    place, budget = search.place, search.budget
    reads = _reads(search)
    if options.output is not None:
        check_output(options.output, LANDSCAPE, reads)
    workspace = Workspace(place.workspace).create()
    with (
        open_storage(storage_url(place.workspace, place.storage)) as storage,
        settled(search, workspace, watcher) as (question, worker, spec),
    ):
        _check_known(spec)
        count = _count(options, spec)
        name = place.study or f"{stem(spec.workload.model.path)}-landscape"
        name, exists = choose_study(storage, spec, name, "continue")
        file = options.output or workspace.reports / name / FILE
        check_output(file, LANDSCAPE, reads)
        # a model that cannot run is to be found before there is a study of it
        compute_reference(worker, question, watcher)
        if not exists:
            storage.create_study(name, spec, versions())
        for note in question.notes:
            watcher.note(note)
        before = storage.read_study(name)
        owner = _owner(options, name, spec, storage, worker, watcher, count)
        limits = Limits(count, budget.timeout, budget.trial_timeout)
        watcher.begin(name, spec, limits, before.trials)
        ending = _measure(owner, worker, limits, options, stop)
        study = storage.read_study(name)
        written = _write(study, options, file, watcher)
        return Recorded(study, ending, written, count, _runs(study) - _runs(before))


def _as_asked(options: RecordOptions) -> SearchOptions:
    """The search's part of the options, with a policy that is timed as recording was asked to."""
    request = options.search.request
    policy = lasting(request.policy or Policy(), options.warm_up, options.duration)
    policy = replace(policy, loads_together=options.together)
    return replace(options.search, request=replace(request, policy=policy))


def _reads(search: SearchOptions) -> tuple[Path | None, ...]:
    """What a landscape cannot replace: the files that it is made from."""
    request, place = search.request, search.place
    replayed = parse_backend(request.backend)[1].get("landscape")
    url = parse_url(storage_url(place.workspace, place.storage))
    database = str(url.database).removeprefix("file:") if url.get_backend_name() == "sqlite" else None
    named = [Path(str(name)) for name in (replayed, database) if name is not None]
    return (request.model, request.inputs, request.reference, *named)


def _owner(
    options: RecordOptions,
    name: str,
    spec: StudySpec,
    storage: Storage,
    worker: Worker,
    watcher: Watcher,
    count: int,
) -> Owner:
    order = random_points(spec.space, count, options.search.request.seed)

    return Owner(
        name=name,
        spec=spec,
        storage=storage,
        executor=worker,
        observer=watcher,
        seed=options.search.request.seed,
        # what it costs is recorded too
        remeasure=True,
        rigour=fitting(options.search.rigour, spec.objectives),
        sampler=partial(Listing, spec.space, order),
    )


def _check_known(spec: StudySpec) -> None:
    about = {objective.metric for objective in spec.objectives}
    about |= {constraint.metric for constraint in spec.constraints}
    if spec.policy.loads_together and "device_memory_bytes" in about:
        raise UserError(
            "device_memory_bytes is not known of engines that are loaded beside others",
            "Leave --together out.",
        )


def _count(options: RecordOptions, spec: StudySpec) -> int:
    """The candidates to measure, the baseline included."""
    every = candidates_of(spec)
    if options.candidates is None and every > MOST_CANDIDATES:
        raise UserError(
            f"the space has {every:,} candidates",
            "Say how many of them to record with --candidates N, or narrow it with --fix NAME=VALUE.",
        )
    return min(every, options.candidates or every)


def _measure(owner: Owner, worker: Worker, limits: Limits, options: RecordOptions, stop: Stop) -> Ending:
    end = time.monotonic() + (math.inf if limits.seconds is None else limits.seconds)
    seconds = None if limits.seconds is None else FIRST_SHARE * limits.seconds
    try:
        ending = owner.run(replace(limits, seconds=seconds), stop).ending
        if ending == "interrupted":
            return ending
        with stop.while_running():
            return _again(owner, limits, options, lambda: _early(stop, end)) or ending
    except (Interrupted, KeyboardInterrupt):
        worker.kill()
        return "interrupted"


def _early(stop: Stop, end: float) -> Ending | None:
    """Why it has to end now; None while it may go on."""
    if stop.requested:
        return "interrupted"
    return "timeout" if time.monotonic() >= end else None


def _again(
    owner: Owner, limits: Limits, options: RecordOptions, early: Callable[[], Ending | None]
) -> Ending | None:
    """The passes over the best that were not made yet; how they ended if early."""
    number = 1
    trials = len(owner.storage.finished(owner.name))
    for count, times in schedule(trials, options.passes):
        study = owner.storage.read_study(owner.name)
        chosen, first = best_of(study, count, number), number
        done = {(one.session, one.trial) for one in study.repeats if one.role == "again"}
        for number in range(first, first + times):
            order = [one for one in order_of(chosen, number, owner.seed) if (number, one) not in done]
            for place, trial in enumerate(order, 1):
                if (ending := early()) is not None:
                    return ending
                what = f"pass {number} of {options.passes} over the best: {place} of {len(order)}"
                owner.observer.preparing(what)
                _measure_again(owner, study, trial, number, limits)
        number = first + times
    return None


def _measure_again(owner: Owner, study: StudyRecord, trial: int, number: int, limits: Limits) -> None:
    candidate = next(one.candidate for one in study.trials if one.number == trial)
    started_at = datetime.now(UTC)
    seconds = limits.trial_seconds or BASELINE_SECONDS
    evaluation = owner.executor.evaluate(candidate, seconds, lambda *_: None)
    stop_on_full_disk(evaluation)
    repeat = RepeatRecord(trial, "again", len(study.trials), number, 0, evaluation, started_at)
    owner.storage.add_repeat(owner.name, evaluation_key(owner.spec, candidate), repeat)


def _write(study: StudyRecord, options: RecordOptions, file: Path, watcher: Watcher) -> Path | None:
    if not study.trials:
        return None
    watcher.preparing("writing the landscape")
    try:
        save(file, landscape_of(study, options.command))
    except OSError as error:
        hint = "Everything measured is saved: mend that, and run the same command again."
        raise cannot_write(file, LANDSCAPE, error, hint) from error
    return file


def _runs(study: StudyRecord) -> int:
    return len(study.trials) + len(study.repeats)
