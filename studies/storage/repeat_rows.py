"""Store repeated measurements of trials and read them, inside a transaction that the caller holds."""

from sqlalchemy import Connection, func, insert, select

from studies.core.records import RepeatRecord
from studies.storage import schema
from studies.storage.device_rows import find_device_id
from studies.storage.evaluation_rows import insert_evaluation, read_evaluations


def insert_repeat(connection: Connection, study_id: int, key: str, repeat: RepeatRecord) -> None:
    """Add a repeat under a key of its own, since other studies must not reuse it."""
    evaluation_id = insert_evaluation(connection, f"{key}-{repeat.role}", repeat.evaluation)
    values = {
        "study_id": study_id,
        "trial": repeat.trial,
        "role": repeat.role,
        "after": repeat.after,
        "session": repeat.session,
        "build": repeat.build,
        "evaluation_id": evaluation_id,
        "started_at": repeat.started_at,
        "device_id": find_device_id(connection, study_id, repeat.device),
    }
    connection.execute(insert(schema.repeat), values)


def count_repeats(connection: Connection, study_id: int) -> int:
    """Count the study's repeats without reading them."""
    query = select(func.count()).select_from(schema.repeat).where(schema.repeat.c.study_id == study_id)
    return int(connection.execute(query).scalar_one())


def read_repeats(connection: Connection, study_id: int, known: int = 0) -> tuple[RepeatRecord, ...]:
    """Return the study's repeats in the order in which they were made, without the first ones that are
    known.
    """
    query = (
        select(schema.repeat, schema.device.c.name.label("device"))
        .select_from(schema.repeat.outerjoin(schema.device))
        .where(schema.repeat.c.study_id == study_id)
        .order_by(schema.repeat.c.id)
    )
    rows = connection.execute(query.offset(known) if known else query).all()
    chosen = schema.evaluation.c.id.in_({row.evaluation_id for row in rows})
    evaluations = read_evaluations(connection, chosen) if rows else {}
    return tuple(
        RepeatRecord(
            trial=row.trial,
            role=row.role,
            after=row.after,
            session=row.session,
            build=row.build,
            evaluation=evaluations[row.evaluation_id],
            started_at=row.started_at,
            device=row.device or "",
        )
        for row in rows
    )
