"""What is under way as rows and back: the one thing in a storage that changes and goes."""

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from engines.core import wire
from engines.core.values import Candidate
from studies.core.records import AttemptRecord
from studies.storage import schema
from studies.storage.statements import insert_or_update


def set_attempt(connection: Connection, study_id: int, attempt: AttemptRecord) -> None:
    """Adds the attempt, or replaces the one of its number."""
    insert_or_update(
        connection,
        schema.attempt,
        study_id=study_id,
        number=attempt.number,
        candidate=wire.to_json(attempt.candidate).decode(),
        device=attempt.device,
        stage=attempt.stage,
        detail=attempt.detail,
        since=attempt.since,
        heartbeat=attempt.heartbeat,
    )


def remove_attempts(connection: Connection, study_id: int, numbers: Collection[int] | None = None) -> None:
    """Removes those of these numbers, or all; a number that has none is no mistake."""
    chosen = schema.attempt.c.study_id == study_id
    if numbers is not None:
        chosen &= schema.attempt.c.number.in_(numbers)
    connection.execute(delete(schema.attempt).where(chosen))


def read_attempts(connection: Connection, study_id: int) -> tuple[AttemptRecord, ...]:
    """The study's attempts in order of their numbers."""
    query = select(schema.attempt).where(schema.attempt.c.study_id == study_id)
    return tuple(
        AttemptRecord(
            row.number,
            wire.from_json(row.candidate, Candidate),
            row.device,
            row.stage,
            row.detail,
            row.since,
            row.heartbeat,
        )
        for row in connection.execute(query.order_by(schema.attempt.c.number))
    )
