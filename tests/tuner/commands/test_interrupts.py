"""Ctrl-C once finishes the trial in flight, twice stops at once; either way what finished is saved."""

import logging
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engines.core.errors import Interrupted
from tests.command import start
from tuner.commands.common import stopping
from tuner.progress.watchers import STOPPING, Silent

SLOW = ("--backend", "fake:trial_seconds=2", "--self-test", 0)


def _numbers(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / ".tuner" / "studies.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [row[0] for row in database.execute("SELECT number FROM tuner_trial ORDER BY number")]


def _until(run: "subprocess.Popen[str]", beginning: str) -> list[str]:
    """What was said up to and including the line that begins so."""
    assert run.stderr is not None
    said = []
    for line in run.stderr:
        said.append(line)
        if line.startswith(beginning):
            return said
    raise AssertionError(f"it ended without saying {beginning!r}: {said}")


def _until_building(run: "subprocess.Popen[str]", folder: Path) -> None:
    """Waits for a trial in flight: an engine that is being made."""
    while not list((folder / ".tuner" / "engines").glob(".unfinished-*")):
        assert run.poll() is None
        time.sleep(0.01)


def _interrupt_during_trial_1(run: "subprocess.Popen[str]", folder: Path) -> None:
    _until(run, "trial 0: ")
    _until_building(run, folder)
    run.send_signal(signal.SIGINT)


@pytest.fixture
def search(model: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    run = start("search", model, *SLOW, "--trials", 20, cwd=tmp_path)
    yield run
    run.kill()
    run.communicate()


def test_first_ctrl_c_finishes_the_trial_in_flight(search: "subprocess.Popen[str]", tmp_path: Path) -> None:
    _interrupt_during_trial_1(search, tmp_path)
    rest = _until(search, "trial 1: ")
    out, last = search.communicate(timeout=60)
    assert search.returncode == 130
    assert f"{STOPPING}\n" in rest
    assert last == ""
    assert "Interrupted: everything finished is saved; run the same command again to go on." in out
    assert "Report  " in out
    assert _numbers(tmp_path) == [0, 1]


def test_second_ctrl_c_stops_at_once_and_the_same_command_completes(
    search: "subprocess.Popen[str]", model: Path, tmp_path: Path
) -> None:
    _interrupt_during_trial_1(search, tmp_path)
    _until(search, STOPPING)
    search.send_signal(signal.SIGINT)
    out, said = search.communicate(timeout=60)
    assert search.returncode == 130
    assert "trial 1: " not in said
    assert "Interrupted: everything finished is saved" in out
    assert _numbers(tmp_path) == [0]
    again = start("search", model, *SLOW, "--trials", 2, "--resume", cwd=tmp_path)
    out, said = again.communicate(timeout=60)
    assert again.returncode == 0
    assert re.search(r"going on with study tiny \w+ trial 0: up to 1 more trial", said)
    assert _numbers(tmp_path) == [0, 1]


def test_request_to_terminate_stops_at_once(search: "subprocess.Popen[str]", tmp_path: Path) -> None:
    _until(search, "trial 0: ")
    search.send_signal(signal.SIGTERM)
    out, said = search.communicate(timeout=60)
    assert search.returncode == 130
    assert "Interrupted" in out
    assert "trial 1: " not in said
    assert _numbers(tmp_path) == [0]


def test_without_a_finished_trial_nothing_is_handed_over(tmp_path: Path, model: Path) -> None:
    run = start("search", model, "--backend", "fake:trial_seconds=60", cwd=tmp_path)
    _until_building(run, tmp_path)
    run.send_signal(signal.SIGINT)
    _until(run, STOPPING)
    run.send_signal(signal.SIGINT)
    out, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in said
    assert "Engine" not in out
    assert _numbers(tmp_path) == []


def test_signals_are_given_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stopping(Silent()):
        assert signal.getsignal(signal.SIGINT) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_database_log_of_interrupted_connection_is_hidden() -> None:
    pool = logging.getLogger("sqlalchemy.pool.impl.QueuePool")
    with stopping(Silent()):
        assert not pool.isEnabledFor(logging.ERROR)
    assert pool.isEnabledFor(logging.ERROR)


def test_while_no_trial_is_in_flight_the_first_stops_at_once() -> None:
    with stopping(Silent()) as stop:
        assert not stop.running
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)


def test_while_a_trial_is_in_flight_the_first_only_asks() -> None:
    with stopping(Silent()) as stop, stop.while_running():
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
