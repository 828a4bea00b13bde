import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from engines.core.errors import UserError
from studies.core.records import StudySpec
from studies.storage.database import engine_options, open_engine, parse_url, reading, writing
from studies.storage.storage import open_storage
from tests.paths import ROOT


@pytest.mark.parametrize("form", ["{path}", "sqlite:///{path}", "sqlite+pysqlite:///{path}"])
@pytest.mark.parametrize("name", ["studies.db", "mes études.db", "#1.db"])
def test_a_file_is_named_by_a_path_or_a_url(tmp_path: Path, form: str, name: str) -> None:
    open_storage(form.format(path=tmp_path / name)).close()
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("name", ["what?.db", "100%41.db", "{SCHEMA_VERSION}.db"])
def test_the_url_means_the_same_file_to_others(tmp_path: Path, name: str) -> None:
    with open_storage(str(tmp_path / name)) as storage:
        url = storage.url
    assert (tmp_path / name).is_file()
    assert parse_url(url).database == str(tmp_path / name)
    assert "{" not in url  # Optuna takes braces for its own


def test_a_relative_path_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_url("studies.db").database == str(tmp_path / "studies.db")
    assert parse_url("sqlite:///sub/studies.db").database == str(tmp_path / "sub" / "studies.db")


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse_url("~/studies.db").database == str(tmp_path / "studies.db")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg(scheme: str) -> None:
    url = parse_url(f"{scheme}://me:secret@db.example:5433/studies?sslmode=require")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://me:secret@db.example:5433/studies?sslmode=require"
    )


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("", "the storage has an empty name"),
        ("mysql://me:secret@host/db", "studies cannot be stored in mysql://"),
        ("postgresql+psycopg2://me:secret@host/db", "studies cannot be stored in postgresql+psycopg2://"),
        ("redis://host", "studies cannot be stored in redis://"),
        ("postgresql://me:sec/ret@host:port/db", "that begins with postgresql:// cannot be read"),
        ("://", "the storage URL that begins with :// cannot be read"),
        ("sqlite://", "a storage in memory would be lost"),
        ("sqlite:///:memory:", "a storage in memory would be lost"),
        (":memory:", "a storage in memory would be lost"),
        ("sqlite:///file:x?mode=memory&uri=true", "a storage in memory would be lost"),
        ("sqlite://studies.db", "sqlite://studies.db names a server, not a file"),
    ],
)
def test_url_of_another_kind_is_refused(storage: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        open_storage(storage)
    assert message in refused.value.message
    assert refused.value.hint == "Write a path, sqlite:///path or postgresql://user@host/database."
    assert "ret" not in str(refused.value).replace("stored", "")


@pytest.mark.parametrize("storage", ["a\0b.db", "\udcff.db", "sqlite:///\udcff.db"])
def test_a_name_that_no_file_can_have_is_refused(storage: str) -> None:
    with pytest.raises(UserError, match="the storage's name has a zero byte, or is not text in UTF-8"):
        open_storage(storage)


def test_a_missing_driver_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match="needs the package psycopg") as refused:
        open_storage("postgresql://me@host/db")
    assert refused.value.hint == "Run: pip install 'trt-tuner[postgresql]'."


def test_sqlite_is_set_up_for_one_writer_and_readers_beside_it(tmp_path: Path) -> None:
    with open_storage(str(tmp_path / "studies.db")) as storage, reading(storage.engine) as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 60_000}


def test_timeout_in_the_url_overrides_the_default(tmp_path: Path) -> None:
    with open_storage(f"sqlite:///{tmp_path}/a.db?timeout=2.5") as storage, reading(storage.engine) as found:
        assert found.exec_driver_sql("PRAGMA busy_timeout").scalar() == 2500
    url = parse_url("postgresql://host/db?connect_timeout=3")
    assert "connect_timeout" not in engine_options(url)["connect_args"]


def test_a_reader_sees_one_moment_while_another_writes(tmp_path: Path) -> None:
    engine = open_engine(parse_url(str(tmp_path / "a.db")))
    with writing(engine) as writer:
        writer.exec_driver_sql("CREATE TABLE kept (value INTEGER)")
    with reading(engine) as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM kept").scalar() == 0
        with writing(engine) as writer:
            writer.exec_driver_sql("INSERT INTO kept VALUES (1)")
        assert reader.exec_driver_sql("SELECT count(*) FROM kept").scalar() == 0
    with reading(engine) as reader:
        assert reader.exec_driver_sql("SELECT count(*) FROM kept").scalar() == 1
    engine.dispose()


def test_an_exception_undoes_what_was_written(database_url: str) -> None:
    engine = open_engine(parse_url(database_url))

    def write_and_fail() -> None:
        with writing(engine) as writer:
            writer.exec_driver_sql("CREATE TABLE kept (value INTEGER)")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with writing(engine) as writer:
        writer.exec_driver_sql("CREATE TABLE kept (value INTEGER)")
    engine.dispose()


def test_opening_waits_while_another_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.05, other.execute, ["COMMIT"])
        release.start()
        open_storage(str(path)).close()
        release.join()


OPENERS = """
import sys
from studies.storage.storage import open_storage
print("ready", flush=True)
for url in sys.stdin:
    open_storage(url.strip()).close()
    print("opened", flush=True)
"""


def test_processes_may_make_the_same_storage_at_the_same_moment(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENERS]
    openers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            bufsize=1,
        )
        for _ in range(3)
    ]
    answers = set()
    for number in range(10):
        for opener in openers:
            assert opener.stdin is not None
            assert opener.stdout is not None
            answers.add(opener.stdout.readline())
            opener.stdin.write(f"{tmp_path / str(number)}.db\n")
    for opener in openers:
        opener.communicate()
    assert answers == {"ready\n", "opened\n"}
    assert [opener.returncode for opener in openers] == [0, 0, 0]
    with closing(sqlite3.connect(tmp_path / "0.db")) as connection:
        assert connection.execute("SELECT min(version) FROM tuner_schema").fetchone() == (1,)


@pytest.mark.parametrize(
    ("name", "option"),
    [("x.db?mode=ro", "mode"), ("x.db?speed=1&timeout=3", "speed"), ("x.db?mode=ro&uri=true", "mode")],
)
def test_an_option_that_would_be_ignored_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"has an option '{option}' that would be ignored") as refused:
        open_storage(f"sqlite:///{name}")
    assert "sqlite:///file:PATH?mode=ro" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.db?timeout=soon", "x.db?timeout=1&timeout=2", "file:x.db?mode=rx"])
def test_an_option_that_sqlite_cannot_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot be used") as refused:
        open_storage(f"sqlite:///{name}")
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "sqlite:///x.db?timeout=0.5",
        "sqlite:///x.db?check_same_thread=false&cached_statements=9",
        "sqlite:///file:x.db?cache=private&psow=1&uri=true",
        "sqlite:///file:x.db",
        "file:x.db",
    ],
)
def test_supported_options_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with open_storage(name) as storage:
        assert storage.study_names() == ()
    assert (tmp_path / "x.db").exists()


@pytest.mark.parametrize("options", ["mode=ro", "mode=ro&uri=true", "mode=ro&immutable=1&timeout=1"])
def test_a_read_only_file_is_read_and_not_written(
    tmp_path: Path, study_spec: StudySpec, options: str
) -> None:
    path = tmp_path / "x.db"
    open_storage(str(path)).close()
    before = path.read_bytes()
    with open_storage(f"sqlite:///file:{path}?{options}") as storage:
        assert storage.study_names() == ()
        with pytest.raises(UserError, match="attempt to write a readonly database"):
            storage.create_study("s", study_spec, {})
    assert path.read_bytes() == before
