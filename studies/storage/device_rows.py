"""Devices as rows and back; a device is stored once for each state of its machine (driver, libraries)."""

from dataclasses import asdict, fields

from sqlalchemy import Connection, select

from engines.core import wire
from engines.core.values import Machine
from engines.machine.device import Device
from studies.storage import schema
from studies.storage.statements import insert_once


def add_device(connection: Connection, study_id: int, device: Device) -> None:
    """Adds a device of the study's machine, unless it is there."""
    digest, _ = _machine(connection, study_id)
    insert_once(connection, schema.device, name=device.name, machine_digest=digest, **asdict(device))


def find_device_id(connection: Connection, study_id: int, name: str) -> int | None:
    """The id of the device of this name on the study's machine; None for no name.

    One that was not added before is added, as the machine's first device of its kind.
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
    """The devices of the study's machine, in the order in which they were added."""
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
