"""Devices, and the trials under way on them, as rows and back.

A device is stored once for each state of its machine (driver, libraries). Attempts are the only rows that
change and go.
"""

from collections.abc import Collection
from dataclasses import asdict, fields

from sqlalchemy import Connection, delete, select

from engines.core import wire
from engines.core.values import Candidate, Machine
from engines.machine.device import Device
from studies.core.records import AttemptRecord
from studies.storage import schema
from studies.storage.statements import insert_once, insert_or_update


def add_device(connection: Connection, study_id: int, device: Device) -> None:
    """Add a device of the study's machine, unless it is stored."""
    digest, _ = _machine(connection, study_id)
    insert_once(connection, schema.device, name=device.name, machine_digest=digest, **asdict(device))


def find_device_id(connection: Connection, study_id: int, name: str) -> int | None:
    """Return the id of the device of this name on the study's machine; None for no name.

    A device that is not stored is added, as the machine's first device of its kind.
    """
    if not name:
        return None
    found = _device_id(connection, study_id, name)
    if found is None:
        _, machine = _machine(connection, study_id)
        host, _, uuid = name.rpartition("/")
        add_device(connection, study_id, Device(host, uuid, machine.kind, machine.processor))
        found = _device_id(connection, study_id, name)
    return found


def read_devices(connection: Connection, study_id: int) -> tuple[Device, ...]:
    """Return the devices of the study's machine, in the order in which they were added."""
    columns = [schema.device.c[field.name] for field in fields(Device)]
    query = select(*columns).join(schema.study, _IS_OF_STUDY).where(schema.study.c.id == study_id)
    return tuple(Device(*row) for row in connection.execute(query.order_by(schema.device.c.id)))


_IS_OF_STUDY = schema.device.c.machine_digest == schema.study.c.machine_digest


def _device_id(connection: Connection, study_id: int, name: str) -> int | None:
    query = select(schema.device.c.id).join(schema.study, _IS_OF_STUDY)
    return connection.scalar(query.where(schema.study.c.id == study_id, schema.device.c.name == name))


def _machine(connection: Connection, study_id: int) -> tuple[str, Machine]:
    query = select(schema.machine).join(schema.study).where(schema.study.c.id == study_id)
    row = connection.execute(query).one()
    return row.digest, wire.from_json(row.facts, Machine)


def set_attempt(connection: Connection, study_id: int, attempt: AttemptRecord) -> None:
    """Add the attempt, or replace the one of its number."""
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
    """Remove the attempts of these numbers, or all; numbers without an attempt are ignored."""
    chosen = schema.attempt.c.study_id == study_id
    if numbers is not None:
        chosen &= schema.attempt.c.number.in_(numbers)
    connection.execute(delete(schema.attempt).where(chosen))


def read_attempts(connection: Connection, study_id: int) -> tuple[AttemptRecord, ...]:
    """Return the study's attempts in order of their numbers."""
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
