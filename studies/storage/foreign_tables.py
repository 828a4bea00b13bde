"""Refuse databases that contain tables of other programs.

A SQLite file belongs to one program; a PostgreSQL database may be shared where no name is taken twice.
"""

import re
from collections.abc import Mapping

from sqlalchemy import Connection, column, inspect, select, table, text

from engines.core.errors import UserError
from studies.storage import schema
from studies.storage.errors import location

# columns that Optuna's tables have had from the beginning, to distinguish those of another program
OPTUNA: Mapping[str, frozenset[str]] = {
    "alembic_version": frozenset({"version_num"}),
    "studies": frozenset({"study_id", "study_name"}),
    "study_directions": frozenset({"study_direction_id", "study_id"}),
    "study_system_attributes": frozenset({"study_system_attribute_id", "study_id"}),
    "study_user_attributes": frozenset({"study_user_attribute_id", "study_id"}),
    "trial_heartbeats": frozenset({"trial_heartbeat_id", "trial_id"}),
    "trial_intermediate_values": frozenset({"trial_intermediate_value_id", "trial_id"}),
    "trial_params": frozenset({"param_id", "trial_id"}),
    "trial_system_attributes": frozenset({"trial_system_attribute_id", "trial_id"}),
    "trial_user_attributes": frozenset({"trial_user_attribute_id", "trial_id"}),
    "trial_values": frozenset({"trial_value_id", "trial_id"}),
    "trials": frozenset({"trial_id", "study_id", "state"}),
    "version_info": frozenset({"schema_version", "library_version"}),
}
_KNOWN = {**OPTUNA, schema.schema.name: frozenset(schema.schema.columns.keys())}
_OPTUNA_REVISION = r"v\d+\.\d+\.\d+\..*"


def refuse_foreign_tables(connection: Connection) -> None:
    """Raise UserError if tables of another program are in the way; only reads."""
    there = _names(connection)
    # what stands beside Optuna's own tables or ours is there with its owner's leave
    begun = schema.schema.name in there or "version_info" in there
    foreign = sorted(name for known, name in there.items() if _is_foreign(connection, known, name, begun))
    if foreign:
        shown = ", ".join(foreign[:3]) + (", ..." if len(foreign) > 3 else "")
        raise UserError(
            f"the storage {location(connection.engine.url)} has tables of another program ({shown})",
            "Nothing was written into it: name another file or database.",
        )


def _names(connection: Connection) -> dict[str, str]:
    """Return every table and view, by its name as the database compares it."""
    inspector = inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    return {name.lower() if connection.dialect.name == "sqlite" else name: name for name in names}


def _is_foreign(connection: Connection, known: str, name: str, begun: bool) -> bool:
    if known in _KNOWN:
        return not _KNOWN[known] <= _columns(connection, name) or _is_foreign_alembic(connection, known)
    return not begun and (connection.dialect.name == "sqlite" or known in schema.metadata.tables)


def _columns(connection: Connection, name: str) -> set[str]:
    # not reflected, for SQLAlchemy warns of the types that it does not know
    rows = connection.execute(select(text("*")).select_from(table(name)).limit(0))
    return set(rows.keys())


def _is_foreign_alembic(connection: Connection, name: str) -> bool:
    """Return whether it is the Alembic table of another program, with a version of its own."""
    if name != "alembic_version":
        return False
    version = connection.scalar(select(column("version_num")).select_from(table(name)))
    return version is not None and re.fullmatch(_OPTUNA_REVISION, str(version)) is None
