"""Store studies, their trials and events as rows and read them, inside a transaction that the caller
holds.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, func, insert, select

from engines.core import earlier, wire
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Candidate
from studies.core.identity import marked
from studies.core.objectives import judge
from studies.core.records import Constraint, Prior, StudyRecord, StudySpec, TrialRecord
from studies.storage import schema
from studies.storage.device_rows import find_device_id, remove_attempts
from studies.storage.evaluation_rows import (
    decode_log,
    encode_log,
    insert_evaluation,
    newest_evaluation_id,
    read_evaluations,
)
from studies.storage.file_rows import insert_files
from studies.storage.repeat_rows import read_repeats
from studies.storage.statements import insert_once


@dataclass(frozen=True)
class StudySummary:
    """One study among many: `model` is a file's name, `last_activity` the end of the last trial or event."""

    name: str
    model: str
    model_digest: str
    backend: str
    trials: int
    failures: int
    created_at: datetime
    last_activity: datetime


class FinishedTrial(NamedTuple):
    """What resuming needs of a stored trial; `key` is its evaluation's."""

    number: int
    candidate: Candidate
    key: str


@dataclass(frozen=True)
class Event:
    """Something worth knowing that happened to a study between its trials."""

    at: datetime
    kind: str
    message: str


@dataclass(frozen=True)
class NewTrial:
    """What a trial's row holds besides its evaluation."""

    number: int
    started_at: datetime
    seconds: float
    reused: bool
    log: str
    device: str


def insert_study(
    connection: Connection,
    name: str,
    spec: StudySpec,
    versions: Mapping[str, str],
    priors: Sequence[Prior] = (),
) -> None:
    machine = wire.digest(spec.machine)
    insert_once(connection, schema.machine, digest=machine, facts=wire.to_json(spec.machine).decode())
    values = {
        "name": name,
        "created_at": datetime.now(UTC),
        "model_path": spec.workload.model.file.where,
        "model_digest": spec.workload.model.digest,
        "backend": spec.backend,
        "machine_digest": machine,
        "versions": versions,
        "spec": wire.to_json(spec).decode(),
        "priors": tuple(priors),
    }
    study_id = connection.execute(insert(schema.study).returning(schema.study.c.id), values).scalar_one()
    insert_files(connection, study_id, spec.workload)


def insert_trial(
    connection: Connection, study: str, key: str, evaluation: Evaluation, trial: NewTrial
) -> None:
    study_id = find_study_id(connection, study)
    evaluation_id = newest_evaluation_id(connection, key) if trial.reused else None
    if evaluation_id is None:
        evaluation_id = insert_evaluation(connection, key, evaluation)
    values = {
        "study_id": study_id,
        "number": trial.number,
        "candidate": wire.to_json(evaluation.candidate).decode(),
        "evaluation_id": evaluation_id,
        "started_at": trial.started_at,
        "finished_at": trial.started_at + timedelta(seconds=trial.seconds),
        "seconds": trial.seconds,
        "reused": trial.reused,
        "device_id": find_device_id(connection, study_id, trial.device),
    }
    statement = insert(schema.trial).returning(schema.trial.c.id)
    trial_id: int = connection.execute(statement, values).scalar_one()
    remove_attempts(connection, study_id, (trial.number,))
    if trial.log:
        connection.execute(insert(schema.log), {"trial_id": trial_id, "text": encode_log(trial.log)})


def insert_event(connection: Connection, study: str, kind: str, message: str) -> None:
    study_id = find_study_id(connection, study)
    values = {"study_id": study_id, "at": datetime.now(UTC), "kind": kind, "message": message}
    connection.execute(insert(schema.event), values)


def find_study_id(connection: Connection, name: str) -> int:
    """Return the study's id; raises UserError, with the names that exist, if there is none."""
    found: int | None = connection.scalar(select(schema.study.c.id).where(schema.study.c.name == name))
    if found is None:
        known = study_names(connection)
        raise UserError(f"there is no study {name!r} in this storage", _known(name, known))
    return found


def study_names(connection: Connection) -> tuple[str, ...]:
    return tuple(connection.scalars(select(schema.study.c.name).order_by(schema.study.c.id)))


def read_summaries(connection: Connection) -> tuple[StudySummary, ...]:
    last_events = {row.study_id: row.at for row in connection.execute(_LAST_EVENTS)}
    return tuple(_summary(row, last_events.get(row.id)) for row in connection.execute(_SUMMARIES))


def find_spec(connection: Connection, name: str) -> StudySpec | None:
    text = connection.scalar(select(schema.study.c.spec).where(schema.study.c.name == name))
    return None if text is None else earlier.from_json(text, StudySpec)


def read_study(connection: Connection, name: str) -> StudyRecord:
    study_id = find_study_id(connection, name)
    study, spec = _header(connection, study_id)
    trials = connection.execute(_LOGGED_TRIALS.where(schema.trial.c.study_id == study_id)).all()
    # read after the trials: whatever others add meanwhile, the evaluation of each of these is there
    evaluations = _evaluations(connection, study_id)
    records = marked([_trial(row, spec.constraints, evaluations[row.evaluation_id]) for row in trials])
    repeats = read_repeats(connection, study_id)
    priors = tuple(msgspec.convert(prior, Prior) for prior in study.priors or ())
    return StudyRecord(name, spec, records, study.created_at, study.versions, repeats, priors)


def read_since(connection: Connection, study: StudyRecord) -> StudyRecord:
    """Return the study with the trials and repeats that were added since; the same record if there are
    none.
    """
    study_id = find_study_id(connection, study.name)
    of_study, known = schema.trial.c.study_id == study_id, {trial.number for trial in study.trials}
    stored = connection.scalars(select(schema.trial.c.number).where(of_study))
    new = [number for number in stored if number not in known]
    these = schema.trial.c.number.in_(new)
    rows = connection.execute(_LOGGED_TRIALS.where(of_study, these)).all() if new else []
    chosen = schema.evaluation.c.id.in_({row.evaluation_id for row in rows})
    evaluations = read_evaluations(connection, chosen) if rows else {}
    added = [_trial(row, study.spec.constraints, evaluations[row.evaluation_id]) for row in rows]
    repeats = read_repeats(connection, study_id, known=len(study.repeats))
    if not (added or repeats):
        return study
    trials = sorted((*study.trials, *added), key=lambda trial: trial.number)
    return replace(study, trials=marked(trials), repeats=(*study.repeats, *repeats))


def read_trials(
    connection: Connection,
    name: str,
    numbers: Collection[int],
    constraints: Sequence[Constraint],
    metrics: Collection[str],
) -> tuple[TrialRecord, ...]:
    study_id = find_study_id(connection, name)
    these = schema.trial.c.study_id == study_id, schema.trial.c.number.in_(numbers)
    rows = connection.execute(_TRIALS.where(*these)).all()
    ids = {row.evaluation_id for row in rows}
    evaluations = read_evaluations(connection, schema.evaluation.c.id.in_(ids))
    return tuple(_trial(row, constraints, evaluations[row.evaluation_id], metrics) for row in rows)


def _header(connection: Connection, study_id: int) -> tuple[Row[Any], StudySpec]:
    study = connection.execute(select(schema.study).where(schema.study.c.id == study_id)).one()
    return study, earlier.from_json(study.spec, StudySpec)


def _evaluations(connection: Connection, study_id: int) -> dict[int, Evaluation]:
    chosen = select(schema.trial.c.evaluation_id).where(schema.trial.c.study_id == study_id)
    return read_evaluations(connection, schema.evaluation.c.id.in_(chosen))


def read_finished(connection: Connection, study: str) -> tuple[FinishedTrial, ...]:
    query = (
        select(schema.trial.c.number, schema.trial.c.candidate, schema.evaluation.c.key)
        .join_from(schema.trial, schema.evaluation)
        .where(schema.trial.c.study_id == find_study_id(connection, study))
        .order_by(schema.trial.c.number)
    )
    return tuple(
        FinishedTrial(row.number, wire.from_json(row.candidate, Candidate), row.key)
        for row in connection.execute(query)
    )


def read_events(connection: Connection, study: str) -> tuple[Event, ...]:
    study_id = find_study_id(connection, study)
    query = select(schema.event).where(schema.event.c.study_id == study_id).order_by(schema.event.c.id)
    return tuple(Event(row.at, row.kind, row.message) for row in connection.execute(query))


_TRIALS = (
    select(schema.trial, schema.device.c.name.label("device"))
    .select_from(schema.trial.outerjoin(schema.device))
    .order_by(schema.trial.c.number)
)

_LOGGED_TRIALS = _TRIALS.add_columns(schema.log.c.text.label("log")).outerjoin(
    schema.log, schema.log.c.trial_id == schema.trial.c.id
)

_LAST_EVENTS = select(schema.event.c.study_id, func.max(schema.event.c.at).label("at")).group_by(
    schema.event.c.study_id
)

_SUMMARIES = (
    select(
        schema.study.c.id,
        schema.study.c.name,
        schema.study.c.model_path,
        schema.study.c.model_digest,
        schema.study.c.backend,
        schema.study.c.created_at,
        func.count(schema.trial.c.id).label("trials"),
        func.count(schema.evaluation.c.failure_stage).label("failures"),
        func.max(schema.trial.c.finished_at).label("finished_at"),
    )
    .select_from(schema.study.outerjoin(schema.trial).outerjoin(schema.evaluation))
    .group_by(schema.study.c.id)
    .order_by(schema.study.c.id)
)


def _summary(row: Row[Any], last_event: datetime | None) -> StudySummary:
    times = [time for time in (row.created_at, row.finished_at, last_event) if time is not None]
    return StudySummary(
        name=row.name,
        model=PurePath(row.model_path).name,
        model_digest=row.model_digest,
        backend=row.backend,
        trials=row.trials,
        failures=row.failures,
        created_at=row.created_at,
        last_activity=max(times),
    )


def _trial(
    row: Row[Any],
    constraints: Sequence[Constraint],
    evaluation: Evaluation,
    only: Collection[str] | None = None,
) -> TrialRecord:
    state, metrics, violations = judge(evaluation, constraints, only)
    return TrialRecord(
        number=row.number,
        candidate=wire.from_json(row.candidate, Candidate),
        state=state,
        metrics=metrics,
        violations=violations,
        evaluation=evaluation,
        started_at=row.started_at,
        seconds=row.seconds,
        reused=row.reused,
        log=decode_log(row.log) if only is None else "",
        device=row.device or "",
    )


def _known(name: str, names: tuple[str, ...]) -> str:
    if not names:
        return "It has no studies yet: a search makes the first."
    near = difflib.get_close_matches(name, names, 1)
    guess = f"Did you mean {near[0]}? " if near else ""
    shown = ", ".join(reversed(names[-10:]))
    more = f" and {len(names) - 10} older ones" if len(names) > 10 else ""
    return f"{guess}Known: {shown}{more}."
