"""The finals of a search, on the fake backend; once with a process for each finalist."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tuner
from engines.artifacts.workspace import Workspace
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import RepeatRecord, StudyRecord
from studies.finals.verdict import finals
from studies.run import finals as held_finals
from studies.run.limits import searching_seconds
from studies.run.session import Contest
from studies.storage.storage import open_storage
from tests.command import Command

# so noisy that several candidates could be the best
BACKEND = "fake:noise=0.05,run_noise=0.05"


def held(study: StudyRecord) -> list[tuple[int, int, int]]:
    return [(one.trial, one.build, one.session) for one in study.repeats if one.role == "final"]


def search(model: Path, folder: Path, **options: int | str) -> StudyRecord:
    given: dict[str, Any] = {"backend": BACKEND, "workspace": folder / "w", **options}
    found = tuner.search(model, **given)
    return found.study


@contextmanager
def interrupted_in_session(last: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    session = Contest.session

    def interrupted(self: Contest, number: int, *, may_build: bool = False) -> list[RepeatRecord]:
        if number == last:
            raise KeyboardInterrupt
        return session(self, number, may_build=may_build)

    with monkeypatch.context() as patch:
        patch.setattr(Contest, "session", interrupted)
        yield


@pytest.mark.processes
def test_a_search_ends_with_finals_and_the_winner_is_theirs(model: Path, tmp_path: Path) -> None:
    study = search(model, tmp_path, trials=12, finalists=2)
    found = finals(study)
    assert found is not None
    assert found.sessions == 5
    assert len(found.finalists) <= 3
    trials = {trial for trial, _, _ in held(study)}
    assert 0 in trials
    assert len(held(study)) == 5 * len(trials)
    best = tuner.load_study(workspace=tmp_path / "w").best
    assert best is not None
    assert best.number == found.winner.trial


def test_finals_are_held_once_and_again_when_there_are_more_trials(model: Path, tmp_path: Path) -> None:
    first = search(model, tmp_path, trials=8, finalists=1)
    again = search(model, tmp_path, trials=8, finalists=1)
    assert len(again.repeats) == len(first.repeats)
    more = search(model, tmp_path, trials=10, finalists=1)
    assert {one.after for one in more.repeats if one.role == "final"} == {8, 10}


def test_a_search_that_was_stopped_in_its_finals_goes_on_with_the_next_session(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with interrupted_in_session(2, monkeypatch):
        stopped = search(model, tmp_path, trials=8, finalists=1)
    assert {number for _, _, number in held(stopped)} == {0, 1}
    assert finals(stopped) is None
    finished = search(model, tmp_path, trials=8, finalists=1)
    assert len(held(finished)) == len(set(held(finished)))
    assert {number for _, _, number in held(finished)} == {0, 1, 2, 3, 4}


def test_two_searches_do_not_hold_the_finals_of_one_study(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always = ("search", model, "--backend", BACKEND, "--trials", 8, "--workspace", tmp_path / "w", "-q")
    session = Contest.session

    def beside_another(self: Contest, number: int, *, may_build: bool = False) -> list[RepeatRecord]:
        found = session(self, number, may_build=may_build)
        if number == 1:
            with open_storage(str(tmp_path / "w" / "studies.db")) as storage:
                storage.add_repeat("tiny", "another", found[0])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Contest, "session", beside_another)
        said = command(*always, "--finalists", 1).complaint
    assert said == (
        "the finals of study 'tiny' are held by another search too. "
        "Let only one of them run: all but this session is saved."
    )
    assert command(*always, "--finalists", 1).code == 0


def test_rebuilt_finalists_are_built_each_in_a_folder_of_its_own_and_leave_nothing_behind(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: dict[str, set[Path]] = {}

    class Noted(Worker):
        def __init__(self, opening: Open | None, workspace: Workspace, name: str = "") -> None:
            super().__init__(opening, workspace, name)
            folders.setdefault(name, set()).add(workspace.root)

    monkeypatch.setattr(held_finals, "Worker", Noted)
    backend = "fake:noise=0.05,run_noise=0.5"
    study = search(model, tmp_path, trials=14, finalists=2, rebuild_finalists=1, backend=backend)
    finalists = {trial for trial, _, _ in held(study) if trial}
    assert len(finalists) == 2
    assert {build for trial, build, _ in held(study) if trial} == {0, 1}
    assert {build for trial, build, _ in held(study) if not trial} == {0}
    rebuilt = [one.evaluation.engine for one in study.repeats if one.build and one.session == 0]
    assert all(engine is not None and not engine.reused for engine in rebuilt)
    anew = [of for name, of in folders.items() if "rebuild" in name]
    assert [len(of) for of in anew] == [1] * 2, "the same from session to session"
    assert len(set.union(*anew)) == 2
    assert not [path for path in (tmp_path / "w" / "caches").iterdir() if path.is_dir()]


def test_finals_with_rebuilds_that_were_stopped_begin_anew_for_their_engines_are_gone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"trials": 8, "finalists": 1, "rebuild_finalists": 1}
    with interrupted_in_session(2, monkeypatch):
        search(model, tmp_path, **options)
    finished = search(model, tmp_path, **options)
    rebuilt = [one for one in finished.repeats if one.role == "final" and one.build == 1]
    assert [one.session for one in rebuilt] == [0, 1, 0, 1, 2, 3, 4]
    reused = [one.evaluation.engine.reused for one in rebuilt if one.evaluation.engine is not None]
    assert reused == [False, True, False, True, True, True, True]
    found = finals(finished)
    assert found is not None
    assert found.sessions == 5
    assert len(search(model, tmp_path, **options).repeats) == len(finished.repeats)


def test_the_time_that_is_over_ends_the_finals_after_three_sessions(
    command: Command, model: Path, tmp_path: Path
) -> None:
    always = ("search", model, "--backend", BACKEND, "--trials", 6, "--workspace", tmp_path / "w")
    command(*always, "--finalists", 0)
    ended = command(*always, "--finalists", 1, "--timeout", "1ms")
    assert ended.code == 0
    assert "The time was up; run the same command again to go on." in ended.out
    assert {number for _, _, number in held(tuner.load_study(workspace=tmp_path / "w").study)} == {0, 1, 2}
    again = command(*always, "--finalists", 1)
    assert "Nothing was left to do" not in again.out
    assert {number for _, _, number in held(tuner.load_study(workspace=tmp_path / "w").study)} == {
        0,
        1,
        2,
        3,
        4,
    }
    assert "Nothing was left to do" in command(*always, "--finalists", 1).out


def test_without_finalists_there_are_no_finals(command: Command, model: Path) -> None:
    ended = command("search", model, "--backend", BACKEND, "--trials", 5, "--finalists", 0)
    assert ended.code == 0
    assert "measuring again" not in ended.err
    told = command("search", model, "--backend", BACKEND, "--trials", 6, "--finalists", 4)
    assert "note: measuring again, in turn, in 5 sessions: the baseline, trial " in told.err


def test_a_limited_time_is_shared_with_the_finals() -> None:
    assert searching_seconds(None, MeasurementPlan()) is None
    assert searching_seconds(40.0, MeasurementPlan()) == 30.0
    assert searching_seconds(3600.0, MeasurementPlan()) == 3540.0
    assert searching_seconds(40.0, MeasurementPlan(finalists=0)) == 40.0
