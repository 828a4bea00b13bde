"""Statements that both SQLite and PostgreSQL know; SQLAlchemy has them for each alone."""

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_once(connection: Connection, table: Table, **values: object) -> None:
    """Add a row unless its primary key, or another unique key, exists already."""
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), values)


def insert_or_update(connection: Connection, table: Table, **values: object) -> None:
    """Add a row, or set these values in the row of this primary key."""
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in values if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), values)


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
