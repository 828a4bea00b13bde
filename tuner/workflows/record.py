"""A whole space measured into a study, and the best of it again; written as a landscape to be replayed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from engines.backends.registry import parse_backend
from engines.core.errors import Interrupted, UserError
from engines.core.values import Policy
from engines.executors.base import Job, evaluate
from engines.landscapes.file import save
from studies.core.identity import evaluation_key
from studies.core.records import RepeatRecord, StudyRecord, StudySpec
from studies.recording.export import landscape_of
from studies.recording.passes import Listing, best_of, order_of, random_points, schedule
from studies.run.interfaces import Observer
from studies.run.limits import BASELINE_SECONDS, Ending, Limits, Stop
from studies.run.loop import StudyLoop
from studies.run.state import stop_on_full_disk
from studies.setup.naming import choose_study, stem
from studies.storage.database import parse_url
from tuner.options.budget import candidates_of, lasting
from tuner.options.output_files import LANDSCAPE, cannot_write, check_output
from tuner.options.record import RecordOptions
from tuner.options.search import SearchOptions, storage_url
from tuner.workflows.search import opened_for

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


def run(options: RecordOptions, observer: Observer, stop: Stop) -> Recorded:
    """Begin or continue a recording; raises UserError for what the user must fix."""
    search = _as_asked(options)
    place, budget = search.place, search.budget
    reads = _reads(search)
    if options.output is not None:
        check_output(options.output, LANDSCAPE, reads)
    with opened_for(search, observer) as opening:
        storage, spec, seed = opening.storage, opening.spec, search.request.seed
        _check_known(spec)
        count = _count(options, spec)
        name = place.study or f"{stem(spec.workload.model.file.name)}-landscape"
        name, exists = choose_study(storage, spec, name, "continue")
        file = options.output or opening.workspace.reports / name / FILE
        check_output(file, LANDSCAPE, reads)
        # a model that cannot run is to be found before there is a study of it
        opening.compute_reference()
        if not exists:
            opening.create_study(name)
        for note in opening.question.notes:
            observer.note(note)
        before = storage.read_study(name)
        order = random_points(spec.space, count, seed)
        # what it costs is recorded too
        loop = opening.loop(name, seed, remeasure=True)
        loop = replace(loop, sampler=partial(Listing, spec.space, order))
        limits = Limits(count, budget.timeout, budget.trial_timeout)
        observer.begin(name, spec, limits, before.trials)
        ending = _measure(loop, limits, options, stop)
        study = storage.read_study(name)
        written = _write(study, options, file, observer)
        return Recorded(study, ending, written, count, _runs(study) - _runs(before))


def _as_asked(options: RecordOptions) -> SearchOptions:
    """Return the options of the search, with the times that the recording was given."""
    request = options.search.request
    policy = lasting(request.policy or Policy(), options.warm_up, options.duration)
    policy = replace(policy, loads_together=options.together)
    return replace(options.search, request=replace(request, policy=policy))


def _reads(search: SearchOptions) -> tuple[Path | None, ...]:
    """Return the files that a landscape is made from and must not replace."""
    request, place = search.request, search.place
    replayed = parse_backend(request.backend)[1].get("landscape")
    url = parse_url(storage_url(place.workspace, place.storage))
    database = str(url.database).removeprefix("file:") if url.get_backend_name() == "sqlite" else None
    named = [Path(str(name)) for name in (replayed, database) if name is not None]
    return (request.model, request.inputs, request.reference, *named)


def _check_known(spec: StudySpec) -> None:
    about = {objective.metric for objective in spec.objectives}
    about |= {constraint.metric for constraint in spec.constraints}
    if spec.policy.loads_together and "device_memory_bytes" in about:
        raise UserError(
            "device_memory_bytes is not known of engines that are loaded beside others",
            "Leave --together out.",
        )


def _count(options: RecordOptions, spec: StudySpec) -> int:
    """Return how many candidates to measure, the baseline included."""
    every = candidates_of(spec)
    if options.candidates is None and every > MOST_CANDIDATES:
        raise UserError(
            f"the space has {every:,} candidates",
            "Say how many of them to record with --candidates N, or narrow it with --fix NAME=VALUE.",
        )
    return min(every, options.candidates or every)


def _measure(loop: StudyLoop, limits: Limits, options: RecordOptions, stop: Stop) -> Ending:
    end = time.monotonic() + (math.inf if limits.seconds is None else limits.seconds)
    seconds = None if limits.seconds is None else FIRST_SHARE * limits.seconds
    try:
        ending = loop.run(replace(limits, seconds=seconds), stop).ending
        if ending == "interrupted":
            return ending
        with stop.while_running():
            return _again(loop, limits, options, lambda: _early(stop, end)) or ending
    except (Interrupted, KeyboardInterrupt):
        return "interrupted"


def _early(stop: Stop, end: float) -> Ending | None:
    """Return why the recording has to end now; None while it may continue."""
    if stop.requested:
        return "interrupted"
    return "timeout" if time.monotonic() >= end else None


def _again(
    loop: StudyLoop, limits: Limits, options: RecordOptions, early: Callable[[], Ending | None]
) -> Ending | None:
    """Run the remaining passes over the best; return why they ended early, or None."""
    number = 1
    trials = len(loop.storage.finished(loop.name))
    for count, times in schedule(trials, options.passes):
        study = loop.storage.read_study(loop.name)
        chosen, first = best_of(study, count, number), number
        done = {(one.session, one.trial) for one in study.repeats if one.role == "again"}
        for number in range(first, first + times):
            order = [one for one in order_of(chosen, number, loop.seed) if (number, one) not in done]
            for place, trial in enumerate(order, 1):
                if (ending := early()) is not None:
                    return ending
                what = f"pass {number} of {options.passes} over the best: {place} of {len(order)}"
                loop.observer.preparing(what)
                _measure_again(loop, study, trial, number, limits)
        number = first + times
    return None


def _measure_again(loop: StudyLoop, study: StudyRecord, number: int, session: int, limits: Limits) -> None:
    trial = study.trial(number)
    assert trial is not None, "only stored trials are measured again"
    started_at, device = datetime.now(UTC), loop.executor.devices[0].name
    job = Job(number, trial.candidate, limits.trial_seconds or BASELINE_SECONDS, device=device)
    evaluation = evaluate(loop.executor, job)
    stop_on_full_disk(evaluation)
    repeat = RepeatRecord(number, "again", len(study.trials), session, 0, evaluation, started_at, device)
    loop.storage.add_repeat(loop.name, evaluation_key(loop.spec, trial.candidate), repeat)


def _write(study: StudyRecord, options: RecordOptions, file: Path, observer: Observer) -> Path | None:
    if not study.trials:
        return None
    observer.preparing("writing the landscape")
    try:
        save(file, landscape_of(study, options.command))
    except OSError as error:
        hint = "Everything measured is saved: fix that, and run the same command again."
        raise cannot_write(file, LANDSCAPE, error, hint) from error
    return file


def _runs(study: StudyRecord) -> int:
    return len(study.trials) + len(study.repeats)
