"""What a trial costs the database: how many statements, and no scan."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event

from studies.core.records import StudySpec
from studies.storage.storage import Storage, open_storage
from tests.studies.stored import add, measured


def test_a_trial_costs_the_same_statements_however_many_there_are(
    storage: Storage, study_spec: StudySpec
) -> None:
    storage.create_study("study", study_spec, {})
    with recorded_statements(storage) as first:
        add(storage, "study", 0, measured(0))
    for number in range(1, 30):
        add(storage, "study", number, measured(number))
    with recorded_statements(storage) as last:
        add(storage, "study", 30, measured(30))
    assert [statement for statement, _ in last] == [statement for statement, _ in first]
    assert len(first) <= 10


def test_adding_a_trial_searches_by_index_only(tmp_path: Path, study_spec: StudySpec) -> None:
    with open_storage(str(tmp_path / "studies.db")) as storage:
        storage.create_study("study", study_spec, {})
        with recorded_statements(storage) as statements:
            add(storage, "study", 0, measured(0), reused=True)
        plans: list[Any] = []
        with storage.engine.begin() as connection:
            for statement, parameters in statements:
                if statement.startswith("SELECT"):
                    plans += connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert len(plans) >= 2
    assert not [plan for plan in plans if "SCAN" in plan[3]]


@contextmanager
def recorded_statements(storage: Storage) -> Iterator[list[tuple[str, tuple[object, ...]]]]:
    statements: list[tuple[str, tuple[object, ...]]] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *more: object) -> None:
        statements.append((statement, tuple(parameters) if isinstance(parameters, tuple | list) else ()))

    event.listen(storage.engine, "before_cursor_execute", note)
    yield statements
    event.remove(storage.engine, "before_cursor_execute", note)
