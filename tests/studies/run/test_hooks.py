"""What is written down of trials under way."""

from dataclasses import replace

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted
from engines.core.values import Stage, Workload
from studies.core.records import AttemptRecord, TrialRecord
from studies.run import hooks
from studies.run.loop import StudyLoop
from studies.storage.storage import Storage
from tests.executors import HERE
from tests.studies.loops import Here, Notes, loop_of, run, spec_of

THREE = (HERE, replace(HERE, uuid="second"), replace(HERE, uuid="third"))


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


@pytest.fixture
def loop(storage: Storage, workload: Workload, workspace: Workspace) -> StudyLoop:
    return loop_of(storage, spec_of(workload), Here(workload, workspace, devices=THREE))


class Recorder:
    """Keeps what is written of attempts."""

    def __init__(self, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[AttemptRecord] = []
        write = storage.set_attempt

        def kept(study: str, attempt: AttemptRecord) -> None:
            self.rows.append(attempt)
            write(study, attempt)

        monkeypatch.setattr(storage, "set_attempt", kept)


def test_attempt_has_its_stage_and_is_removed_when_the_trial_is_stored(
    loop: StudyLoop, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "ATTEMPTS_EVERY_SECONDS", 0.0)
    recorder = Recorder(storage, monkeypatch)
    left: list[tuple[AttemptRecord, ...]] = []
    run(replace(loop, observer=Notes(lambda _: left.append(storage.attempts("study")))), 6)
    devices = {one.name for one in THREE}
    candidates = {trial.number: trial.candidate for trial in storage.read_study("study").trials}
    assert recorder.rows
    for row in recorder.rows:
        assert (row.candidate, row.device in devices) == (candidates[row.number], True)
        assert row.since <= row.heartbeat
    stored = [trial.number for trial in storage.read_study("study").trials]
    assert all(row.number in stored for row in recorder.rows)
    assert any(left)
    assert storage.attempts("study") == ()


def test_attempts_are_written_at_most_once_a_second(
    loop: StudyLoop, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "ATTEMPTS_EVERY_SECONDS", 3600.0)
    recorder = Recorder(storage, monkeypatch)
    run(loop, 12)
    assert len(recorder.rows) <= len(THREE)


def test_interrupted_search_leaves_no_attempts_and_next_run_removes_those_of_a_killed_one(
    loop: StudyLoop, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(record: TrialRecord) -> None:
        raise Interrupted("killed")

    monkeypatch.setattr(hooks, "ATTEMPTS_EVERY_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        run(replace(loop, observer=Notes(stop)), 6)
    assert storage.attempts("study") == ()
    run(loop, 2)
    trial = storage.read_study("study").trials[0]
    stage: Stage = "build"
    row = AttemptRecord(9, trial.candidate, HERE.name, stage, "", trial.started_at, trial.started_at)
    storage.set_attempt("study", row)
    run(loop, 3)
    assert storage.attempts("study") == ()
