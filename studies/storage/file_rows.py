"""The files and folders that a study names: its model, its data, the modules of its metrics."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from engines.core.values import InputSource, Workload
from studies.storage import schema
from studies.storage.statements import insert_or_update


class StudyFile(NamedTuple):
    """A file by its role in the study, its digest and name, and where it was last seen.

    A function of the user's has the digest of its module, its own name, and the folder it starts from.
    """

    role: str
    digest: str
    name: str
    where: str


def insert_files(connection: Connection, study_id: int, workload: Workload) -> None:
    """Add the files that are not stored, and update the place of the others."""
    for file in _files_of(workload):
        values = {"digest": file.digest, "name": file.name, "where": file.where}
        insert_or_update(connection, schema.file, **values)
        reference = {"study_id": study_id, "role": file.role, "digest": file.digest}
        connection.execute(insert(schema.study_file), reference)


def read_files(connection: Connection, study_id: int) -> tuple[StudyFile, ...]:
    """Return the study's files in order of their roles."""
    query = (
        select(schema.study_file.c.role, schema.file)
        .join(schema.file)
        .where(schema.study_file.c.study_id == study_id)
        .order_by(schema.study_file.c.role)
    )
    return tuple(StudyFile(*row) for row in connection.execute(query))


def _files_of(workload: Workload) -> Iterator[StudyFile]:
    model = workload.model.file
    yield StudyFile("model", model.digest, model.name, model.where)
    yield from _data("inputs", workload.inputs)
    yield from _data("calibration", workload.calibration)
    yield from _data("expected", workload.expected)
    for metric in workload.metrics:
        yield StudyFile(f"metric {metric.name}", metric.file.digest, metric.function, metric.file.where)


def _data(role: str, source: InputSource | None) -> Iterator[StudyFile]:
    if source is not None and source.file is not None:
        file = source.file
        yield StudyFile(role, file.digest, source.function or file.name, file.where)
