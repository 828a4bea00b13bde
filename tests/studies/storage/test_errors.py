import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import optuna
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from engines.core.errors import UserError
from engines.core.results import Block, Evaluation, Measurement
from engines.core.values import Candidate, Settings
from studies.core.records import StudySpec
from studies.storage.database import parse_url, writing
from studies.storage.errors import location, translated
from studies.storage.storage import Storage, open_storage

NO_FILE = "Name a file in a folder that exists, and see that both may be read and written."


def add(storage: Storage, number: int, samples: int = 100) -> None:
    block = Block(np.random.default_rng(number).lognormal(size=samples), 1.0, 0.0)
    evaluation = Evaluation(
        Candidate(run=Settings(number=number)), measurement=Measurement((block,), 1, 1, 0.1, 1, True)
    )
    storage.add_trial(
        "study",
        number,
        f"key {number}",
        evaluation,
        started_at=datetime.now(UTC),
        seconds=1.0,
        reused=False,
        log="",
    )


def filled(path: Path, spec: StudySpec, trials: int = 3) -> Path:
    with open_storage(str(path)) as storage:
        storage.create_study("study", spec, {})
        for number in range(trials):
            add(storage, number, samples=5000)
    return path


@contextmanager
def without_privileges() -> Iterator[None]:
    """As a user whom permissions hold back, which they do not do for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_folder_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        open_storage(str(tmp_path / "none" / "studies.db"))
    place = tmp_path / "none" / "studies.db"
    assert refused.value.message == f"the storage {place} cannot be used: unable to open database file"
    assert refused.value.hint == NO_FILE
    assert not (tmp_path / "none").exists()


def test_a_folder_is_no_storage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used: unable to open database file") as refused:
        open_storage(str(tmp_path))
    assert refused.value.hint == NO_FILE


@pytest.mark.parametrize(
    "content", [b"xy", b"not a database at all, " * 100, b"SQLite format 2\0" + b"\0" * 5000]
)
def test_another_file_is_no_storage_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.onnx cannot be used: file is not a database"):
        open_storage(str(path))
    assert path.read_bytes() == content


def test_a_folder_that_may_not_be_written(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with (
        without_privileges(),
        pytest.raises(UserError, match=r"studies\.db cannot be used") as refused,
    ):
        open_storage(str(open_folder / "studies.db"))
    assert refused.value.hint == NO_FILE


def test_a_file_that_may_not_be_written(open_folder: Path, study_spec: StudySpec) -> None:
    path = filled(open_folder / "studies.db", study_spec)
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with (
        without_privileges(),
        pytest.raises(UserError, match=r"studies\.db cannot be used"),
    ):
        open_storage(str(path))


def test_a_storage_that_is_opened_to_read_refuses_to_write(tmp_path: Path, study_spec: StudySpec) -> None:
    path = filled(tmp_path / "studies.db", study_spec)
    with open_storage(f"sqlite:///file:{path}?mode=ro&uri=true") as storage:
        assert len(storage.read_study("study").trials) == 3
        with pytest.raises(UserError) as refused:
            add(storage, 3)
    assert refused.value.message == f"the storage {path} cannot be used: attempt to write a readonly database"
    assert refused.value.hint == NO_FILE


def test_a_lock_that_is_not_released_in_time(tmp_path: Path, study_spec: StudySpec) -> None:
    path = filled(tmp_path / "studies.db", study_spec)
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        open_storage(f"sqlite:///{path}?timeout=0.01") as storage,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert len(storage.read_study("study").trials) == 3
        with pytest.raises(UserError, match="cannot be used: database is locked"):
            add(storage, 3)
        other.execute("ROLLBACK")
        add(storage, 3)


def test_a_new_storage_that_another_holds_back(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="cannot be used: database is locked"):
            open_storage(f"sqlite:///{path}?timeout=0.01")


def test_a_damaged_file(tmp_path: Path, study_spec: StudySpec) -> None:
    path = filled(tmp_path / "studies.db", study_spec)
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with (
        pytest.raises(UserError, match=r"cannot be used: .*malformed") as refused,
        open_storage(str(path)) as it,
    ):
        it.read_study("study")
    assert f"sqlite3 '{path}' .recover" in refused.value.hint


def test_samples_that_are_damaged(tmp_path: Path, study_spec: StudySpec) -> None:
    with open_storage(str(filled(tmp_path / "studies.db", study_spec))) as storage:
        with writing(storage.engine) as connection:
            connection.execute(text("UPDATE tuner_measurement SET samples = x'00'"))
        with pytest.raises(UserError, match="holds something that cannot be read"):
            storage.read_study("study")


def test_spec_of_a_newer_version_is_refused(tmp_path: Path, study_spec: StudySpec) -> None:
    with open_storage(str(filled(tmp_path / "studies.db", study_spec))) as storage:
        with writing(storage.engine) as connection:
            connection.execute(
                text("UPDATE tuner_study SET spec = replace(spec, '\"minimize\"', '\"balance\"')")
            )
        with pytest.raises(UserError, match=r"balance.*upgrade trt-tuner"):
            storage.find_spec("study")


def test_a_full_disk_loses_nothing_that_is_finished(tmp_path: Path, study_spec: StudySpec) -> None:
    path = filled(tmp_path / "studies.db", study_spec)
    with open_storage(str(path)) as storage:
        with storage.engine.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(UserError) as refused:
            add(storage, 3, samples=5000)
        assert refused.value.message == f"the storage {path} cannot be used: database or disk is full"
        assert refused.value.hint == (
            "Free some space, then run the same command again. Everything finished is saved."
        )
        assert [trial.number for trial in storage.read_study("study").trials] == [0, 1, 2]
        with storage.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        add(storage, 3, samples=5000)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_write_that_the_system_refuses(tmp_path: Path, study_spec: StudySpec) -> None:
    resource = pytest.importorskip("resource")
    path = filled(tmp_path / "studies.db", study_spec)
    with open_storage(str(path)) as storage:
        add(storage, 3)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with pytest.raises(UserError, match="cannot be used: disk I/O error"):
                add(storage, 4)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        add(storage, 4)
        assert len(storage.finished("study")) == 5


def test_optuna_errors_become_user_errors(tmp_path: Path, study_spec: StudySpec) -> None:
    path = filled(tmp_path / "studies.db", study_spec)
    with open_storage(f"sqlite:///{path}?timeout=0.01") as storage:
        theirs = optuna.storages.RDBStorage(storage.url, engine_kwargs=storage.engine_options())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with (
                pytest.raises(UserError, match="cannot be used: database is locked"),
                storage.errors_translated(optuna.exceptions.StorageInternalError),
            ):
                optuna.create_study(storage=theirs, study_name="study")
        optuna.create_study(storage=theirs, study_name="study")
        with (
            pytest.raises(optuna.exceptions.DuplicatedStudyError),
            storage.errors_translated(optuna.exceptions.StorageInternalError),
        ):
            optuna.create_study(storage=theirs, study_name="study")
        theirs.engine.dispose()


def test_internal_errors_pass_through(storage: Storage) -> None:
    with pytest.raises(Exception, match="no_such_table"), writing(storage.engine) as connection:
        connection.exec_driver_sql("SELECT * FROM no_such_table")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////data/studies.db?timeout=3", "/data/studies.db"),
        (
            "postgresql://me:secret@db.example:5433/studies?sslmode=on",
            "postgresql://me@db.example:5433/studies",
        ),
        ("postgresql://db.example", "postgresql://db.example/"),
        ("postgresql://me@/studies?host=/run/sockets", "postgresql://me@/run/sockets/studies"),
    ],
)
def test_a_storage_is_named_without_its_secrets(url: str, name: str) -> None:
    assert location(parse_url(url)) == name


def test_passwords_are_cut_out_of_what_the_server_says() -> None:
    url = parse_url("postgresql://me:pa55@host/db?sslpassword=k3y")
    error = ProgrammingError("", {}, _Denied("permission denied for\n\tpa55 and k3y."))
    with pytest.raises(UserError) as refused, translated(url):
        raise error
    assert "cannot be used: permission denied for *** and ***" in refused.value.message


class _Denied(Exception):
    sqlstate = "42501"
