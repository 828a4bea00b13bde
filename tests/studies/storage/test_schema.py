from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect

from studies.storage import schema
from studies.storage.database import open_engine, parse_url, writing
from studies.storage.migrations import migrate
from tests.old import unpack


def test_the_tables_are_what_the_migrations_make(database_url: str) -> None:
    migrated = open_engine(parse_url(database_url))
    migrate(migrated)
    found = described(migrated)
    with writing(migrated) as connection:
        schema.metadata.drop_all(connection)
        schema.metadata.create_all(connection)
    assert found == described(migrated)
    assert set(found) == set(schema.metadata.tables)
    migrated.dispose()


@pytest.mark.parametrize("name", ["cpu", "h200"])
def test_tables_of_an_old_database_become_those_of_a_new_one(tmp_path: Path, name: str) -> None:
    unpack(name, tmp_path)
    old, new = (open_engine(parse_url(str(tmp_path / path))) for path in ("w/studies.db", "new.db"))
    for engine in (old, new):
        migrate(engine)
    found = {table: facts for table, facts in described(old).items() if table.startswith("tuner_")}
    assert found == described(new)
    for engine in (old, new):
        engine.dispose()


def test_our_tables_keep_out_of_the_way_of_others() -> None:
    assert all(name.startswith("tuner_") for name in schema.metadata.tables)


def described(engine: Engine) -> dict[str, Any]:
    """Every table as the database tells it, without the names that it makes up itself."""
    inspector = inspect(engine)
    return {
        table: {
            "columns": [
                (one["name"], str(one["type"]), one["nullable"], one.get("identity"))
                for one in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(
                (one["constrained_columns"], one["referred_table"], one["referred_columns"])
                for one in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(one["column_names"] for one in inspector.get_unique_constraints(table)),
            "indexes": sorted((one["name"], one["column_names"]) for one in inspector.get_indexes(table)),
        }
        for table in inspector.get_table_names()
    }
