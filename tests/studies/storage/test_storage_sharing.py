"""A storage in the hands of several processes, of Optuna, and of one that dies."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest

from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate, Settings
from studies.core.records import StudySpec
from studies.storage.storage import Storage, open_storage
from tests.paths import ROOT


def add(storage: Storage, study: str, number: int) -> None:
    candidate = Candidate(run=Settings(number=number))
    evaluation = Evaluation(candidate, failure=Failure("build", "crashed", "signal 11"))
    key, now = f"{study} {number}", datetime.now(UTC)
    storage.add_trial(study, number, key, evaluation, started_at=now, seconds=1.0, reused=False, log="")


WRITER = """
import sys
from datetime import UTC, datetime
import numpy as np
from engines.core.results import Block, Evaluation, Measurement
from engines.core.values import Candidate, Settings
from studies.storage.storage import open_storage

url, study, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
samples = np.random.default_rng(0).lognormal(size=10_000)
with open_storage(url) as storage:
    for number in range(count):
        measurement = Measurement((Block(samples, 1.0, 0.0),), 1, 1, 0.1, 1, True)
        evaluation = Evaluation(Candidate(run=Settings(number=number)), measurement=measurement)
        now = datetime.now(UTC)
        key = f"{study} {number}"
        storage.add_trial(
            study, number, key, evaluation, started_at=now, seconds=0.0, reused=False, log="x" * number
        )
        print(number, flush=True)
"""


def start_writer(url: str, study: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, study, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_a_killed_writer_leaves_every_trial_that_it_finished(tmp_path: Path, study_spec: StudySpec) -> None:
    path = tmp_path / "studies.db"
    with open_storage(str(path)) as storage:
        for study in ("one", "two"):
            storage.create_study(study, study_spec, {})
    for study, trials in (("one", 3), ("two", 40)):
        with start_writer(str(path), study, 1_000_000) as writer:
            assert writer.stdout is not None
            for _ in range(trials):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
            finished = trials + len(writer.stdout.read().splitlines())
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with open_storage(str(path)) as storage:
            found = storage.read_study(study).trials
        # the last may be stored and not yet reported
        assert len(found) in (finished, finished + 1)
        assert [trial.number for trial in found] == list(range(len(found)))
        assert [len(trial.log) for trial in found] == list(range(len(found)))
        assert all(len(trial.evaluation.measurement.blocks[0].latency_ms) == 10_000 for trial in found)  # type: ignore[union-attr]


def test_two_processes_write_to_the_same_storage(database_url: str, study_spec: StudySpec) -> None:
    with open_storage(database_url) as storage:
        for study in ("ours", "theirs"):
            storage.create_study(study, study_spec, {})
        with start_writer(storage.url, "theirs", 30) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            for number in range(30):
                add(storage, "ours", number)
            assert writer.wait(timeout=60) == 0
        for study in ("ours", "theirs"):
            assert [trial.number for trial in storage.finished(study)] == list(range(30))


def test_optuna_lives_in_the_same_database(database_url: str, study_spec: StudySpec) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with open_storage(database_url) as storage:
        storage.create_study("study", study_spec, {})
        theirs = optuna.storages.RDBStorage(storage.url, engine_kwargs=storage.engine_options())
        study = optuna.create_study(storage=theirs, study_name="study", directions=["minimize", "maximize"])
        for number in range(3):
            trial = study.ask()
            trial.suggest_categorical("precision", ["fp32", "int8"])
            add(storage, "study", number)
            study.tell(trial, [1.0, 2.0])
        theirs.engine.dispose()
    with open_storage(database_url) as storage:
        assert len(storage.read_study("study").trials) == 3
        again = optuna.storages.RDBStorage(storage.url, engine_kwargs=storage.engine_options())
        assert [trial.values for trial in optuna.load_study(study_name="study", storage=again).trials] == [
            [1.0, 2.0]
        ] * 3
        again.engine.dispose()


def test_a_database_that_optuna_made_takes_our_tables(database_url: str, study_spec: StudySpec) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    theirs = optuna.storages.RDBStorage(url)
    optuna.create_study(storage=theirs, study_name="theirs")
    with open_storage(database_url) as storage:
        storage.create_study("ours", study_spec, {})
        assert storage.study_names() == ("ours",)
    assert optuna.get_all_study_names(theirs) == ["theirs"]
    theirs.engine.dispose()


def test_optuna_uses_the_same_timeout_and_journal(tmp_path: Path) -> None:
    with open_storage(str(tmp_path / "studies.db")) as storage:
        theirs = optuna.storages.RDBStorage(storage.url, engine_kwargs=storage.engine_options())
        with theirs.engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("busy_timeout", "synchronous", "journal_mode")
            ]
        theirs.engine.dispose()
    assert pragmas == [60_000, 1, "wal"]


def test_the_file_alone_holds_everything_once_it_is_closed(tmp_path: Path, study_spec: StudySpec) -> None:
    with open_storage(str(tmp_path / "studies.db")) as storage:
        storage.create_study("study", study_spec, {})
    assert os.listdir(tmp_path) == ["studies.db"]  # noqa: PTH208
