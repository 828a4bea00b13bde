"""The finals of a search, with a process for each finalist, on the fake backend."""

from pathlib import Path
from typing import Any

import pytest

import tuner
from studies.finals import finals
from studies.records import StudyRecord
from studies.rigour import Rigour
from tests.command import Command
from tuner.final import searching_seconds

pytestmark = pytest.mark.finals
# so noisy that several candidates could be the best
BACKEND = "fake:noise=0.05,run_noise=0.05"


def held(study: StudyRecord) -> list[tuple[int, int, int]]:
    return [(one.trial, one.build, one.session) for one in study.repeats if one.role == "final"]


def search(model: Path, folder: Path, **options: int) -> StudyRecord:
    given: dict[str, Any] = {"backend": BACKEND, "workspace": folder / "w", **options}
    found = tuner.search(model, **given)
    return found.study


def test_a_search_ends_with_finals_and_the_winner_is_theirs(model: Path, tmp_path: Path) -> None:
    study = search(model, tmp_path, trials=12, finalists=2)
    found = finals(study)
    assert found is not None
    assert found.sessions == 5
    assert len(found.finalists) <= 3
    trials = {trial for trial, _, _ in held(study)}
    assert 0 in trials
    assert len(held(study)) == 5 * len(trials)
    best = tuner.load(workspace=tmp_path / "w").best
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
    from studies.contest import Contest

    session = Contest.session

    def interrupted(self: Contest, number: int) -> object:
        if number == 2:
            raise KeyboardInterrupt
        return session(self, number)

    monkeypatch.setattr(Contest, "session", interrupted)
    stopped = search(model, tmp_path, trials=8, finalists=1)
    assert {number for _, _, number in held(stopped)} == {0, 1}
    assert finals(stopped) is None
    monkeypatch.setattr(Contest, "session", session)
    finished = search(model, tmp_path, trials=8, finalists=1)
    assert len(held(finished)) == len(set(held(finished)))
    assert {number for _, _, number in held(finished)} == {0, 1, 2, 3, 4}


def test_rebuilt_finalists_are_built_elsewhere_and_leave_nothing_behind(model: Path, tmp_path: Path) -> None:
    study = search(model, tmp_path, trials=8, finalists=1, rebuild_finalists=2)
    assert {build for trial, build, _ in held(study) if trial} == {0, 1, 2}
    assert {build for trial, build, _ in held(study) if not trial} == {0}
    rebuilt = [one.evaluation.engine for one in study.repeats if one.build and one.session == 0]
    assert all(engine is not None and not engine.reused for engine in rebuilt)
    assert not [path for path in (tmp_path / "w" / "caches").iterdir() if path.is_dir()]


def test_without_finalists_there_are_no_finals(command: Command, model: Path) -> None:
    ended = command("search", model, "--backend", BACKEND, "--trials", 5, "--finalists", 0)
    assert ended.code == 0
    assert "measuring again" not in ended.err
    told = command("search", model, "--backend", BACKEND, "--trials", 6)
    assert "note: measuring again, in turn, in 5 sessions: the baseline, trial " in told.err


def test_a_limited_time_is_shared_with_the_finals() -> None:
    assert searching_seconds(None, Rigour()) is None
    assert searching_seconds(40.0, Rigour()) == 30.0
    assert searching_seconds(3600.0, Rigour()) == 3540.0
    assert searching_seconds(40.0, Rigour(finalists=0)) == 40.0
