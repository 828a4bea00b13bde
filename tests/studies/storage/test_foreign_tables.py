import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import inspect

from engines.core.errors import UserError
from studies.storage import schema
from studies.storage.database import open_engine, parse_url, reading, writing
from studies.storage.foreign_tables import OPTUNA
from studies.storage.storage import open_storage

CLASHES = [
    ("CREATE TABLE studies (a INTEGER)", "studies"),
    ("CREATE TABLE trials (trial_id INTEGER)", "trials"),
    ("CREATE TABLE version_info (version INTEGER)", "version_info"),
    ("CREATE TABLE alembic_version (a INTEGER)", "alembic_version"),
    ("CREATE TABLE tuner_schema (a INTEGER)", "tuner_schema"),
    ("CREATE TABLE tuner_trial (a INTEGER)", "tuner_trial"),
    ("CREATE VIEW studies AS SELECT 1 AS a", "studies"),
    (
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        "alembic_version",
    ),
]


def fill(database_url: str, statements: str) -> None:
    engine = open_engine(parse_url(database_url))
    with writing(engine) as connection:
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
    engine.dispose()


def tables(database_url: str) -> set[str]:
    engine = open_engine(parse_url(database_url))
    with reading(engine) as connection:
        found = set(inspect(connection).get_table_names())
    engine.dispose()
    return found


@pytest.mark.parametrize(("statements", "named"), CLASHES)
def test_tables_of_another_program_that_clash_are_refused(
    database_url: str, statements: str, named: str
) -> None:
    fill(database_url, statements)
    before = tables(database_url)
    with pytest.raises(UserError) as refused:
        open_storage(database_url)
    assert refused.value.message.endswith(f" has tables of another program ({named})")
    assert "name another file or database" in refused.value.hint
    assert tables(database_url) == before


def test_tables_of_another_program_that_clash_are_refused_beside_ours_too(database_url: str) -> None:
    open_storage(database_url).close()
    fill(database_url, "CREATE TABLE studies (a INTEGER)")
    with pytest.raises(UserError, match=r"has tables of another program \(studies\)"):
        open_storage(database_url)


def test_a_sqlite_file_of_another_program_is_left_as_it_was_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    names = ("Books", "authors", "loans", "readers")
    with closing(sqlite3.connect(path)) as database:
        for name in names:
            database.execute(f"CREATE TABLE {name} (a)")
        database.commit()
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"tables of another program \(Books, authors, loans, \.\.\.\)"):
        open_storage(str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_sqlite_compares_names_without_their_case(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path}/x.db", "CREATE TABLE Studies (a)")
    with pytest.raises(UserError, match=r"tables of another program \(Studies\)"):
        open_storage(f"{tmp_path}/x.db")


def test_a_postgresql_database_may_be_shared(postgresql_url: str) -> None:
    fill(postgresql_url, 'CREATE TABLE books (a INTEGER); CREATE TABLE "Studies" (a INTEGER)')
    open_storage(postgresql_url).close()
    assert {"books", "Studies", schema.schema.name} <= tables(postgresql_url)


def test_optuna_s_own_tables_are_welcome(database_url: str) -> None:
    url = parse_url(database_url).render_as_string(hide_password=False)
    optuna = RDBStorage(url)
    optuna.remove_session()
    optuna.engine.dispose()
    for _ in range(2):
        open_storage(database_url).close()
    assert {*OPTUNA, schema.schema.name} <= tables(database_url)


def test_every_table_of_optuna_is_known(tmp_path: Path) -> None:
    optuna = RDBStorage(f"sqlite:///{tmp_path}/x.db")
    columns = {
        name: {column["name"] for column in inspect(optuna.engine).get_columns(name)}
        for name in inspect(optuna.engine).get_table_names()
    }
    optuna.remove_session()
    optuna.engine.dispose()
    assert columns.keys() == OPTUNA.keys()
    assert all(OPTUNA[name] <= found for name, found in columns.items())
