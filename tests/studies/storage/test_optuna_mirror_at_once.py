"""Searches that begin in a new database at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from studies.core.records import StudySpec
from studies.storage.optuna_mirror import open_mirror
from studies.storage.storage import open_storage
from tests.records import study_spec

SEARCHES = 6


def test_optunas_tables_are_made_once_for_all(tmp_path: Path) -> None:
    database = str(tmp_path / "studies.db")
    barrier = Barrier(SEARCHES)
    spec = study_spec()

    def begin(number: int) -> int:
        return _begin(database, f"study-{number}", spec, barrier)

    with ThreadPoolExecutor(SEARCHES) as threads:
        assert list(threads.map(begin, range(SEARCHES))) == [0] * SEARCHES


def _begin(database: str, name: str, spec: StudySpec, barrier: Barrier) -> int:
    with open_storage(database) as storage:
        storage.create_study(name, spec, {})
        barrier.wait(30)
        with open_mirror(storage, name, spec, ()) as mirror:
            return len(mirror.study.trials)
