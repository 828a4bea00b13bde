"""The lines of a running search, and who gets them, fed with made-up records."""

import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from studies.core.records import StudyRecord
from studies.search.stopping import Left
from tests.tuner.watching import begin, failed
from tuner.progress.watchers import FIRST_REMINDER_SECONDS, STOPPING, Lines, Live, Silent, watcher_for
from tuner.terminal import streams


def test_there_is_a_line_a_trial(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Lines()
    begin(watcher, study)
    for trial in study.trials:
        watcher.started(trial.number, trial.candidate)
        watcher.stage(trial.number, "build")
        watcher.finished(trial)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert lines[0] == "study resnet-tiny: up to 12 trials"
    trials = [line for line in lines[1:] if line.startswith("trial ")]
    assert [line.partition(":")[0] for line in trials] == [f"trial {number}" for number in range(12)]
    assert f"failed at {failed(study).failure.stage} (" in printed.err  # type: ignore[union-attr]
    assert "; best " in lines[-1]
    assert "faster than the baseline so far" in lines[-1]


def test_every_tenth_trial_says_what_is_left(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Lines()
    begin(watcher, study)
    for trial in study.trials:
        watcher.finished(trial)
    (counts,) = [line for line in capsys.readouterr().err.splitlines() if "trials, " in line]
    assert re.fullmatch(r"10 of 12 trials, \d failed, \d infeasible, \d s passed, about \d+ s left", counts)


@pytest.mark.parametrize("kind", [Lines, Live])
def test_what_is_left_to_gain_is_kept_for_the_next_line(study: StudyRecord, kind: type[Lines | Live]) -> None:
    watcher = kind()
    try:
        watcher.expecting(Left(0.1, 0.9))  # before there is anything to show
        begin(watcher, study)
        watcher.expecting(Left(0.002, 0.11))
        assert watcher._standing is not None
        assert watcher._standing.left == Left(0.002, 0.11)
    finally:
        watcher.close()


def test_what_takes_long_is_said_again_ever_less_often(
    study: StudyRecord, capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    watcher = Lines()
    begin(watcher, study)
    watcher.started(0, study.trials[0].candidate)
    for _ in range(200):
        watcher.stage(0, "build")
        clock(1)
    said = [line for line in capsys.readouterr().err.splitlines() if "so far" in line]
    assert said == [
        "trial 0: building the engine, for 30 s so far",
        "trial 0: building the engine, for 60 s so far",
        "trial 0: building the engine, for 2 min 0 s so far",
    ]
    assert FIRST_REMINDER_SECONDS == 30


def test_on_a_terminal_that_cannot_redraw_it_is_said_sooner(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    watcher = watcher_for()
    for _ in range(6):
        watcher.preparing("computing the reference outputs")
        clock(1)
    said = capsys.readouterr().err.splitlines()
    assert said == [f"computing the reference outputs, for {time} s so far" for time in (2, 4)]


def test_a_long_preparation_is_said_too(
    capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    watcher = Lines()
    for _ in range(40):
        watcher.preparing("computing the reference outputs")
        clock(1)
    assert capsys.readouterr().err == "computing the reference outputs, for 30 s so far\n"


def test_stopping_is_said_once_by_the_next_sign_of_life(
    study: StudyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    watcher = Lines()
    begin(watcher, study)
    capsys.readouterr()
    watcher.stopping()
    assert capsys.readouterr().err == "", "a signal handler may not print"
    watcher.stage(0, "build")
    watcher.stage(0, "build")
    assert capsys.readouterr().err == f"{STOPPING}\n"
    watcher.stopping()
    watcher.preparing("measuring the finalists again")
    watcher.preparing("measuring the finalists again")
    assert capsys.readouterr().err == f"{STOPPING}\n"


def test_verbose_adds_the_log_and_otherwise_it_is_left_out(
    study: StudyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = replace(failed(study), log="\x1b[31mfirst\x1b[0m\n\n  second\n")
    for verbose, shown in ((True, ["first", "  second"]), (False, [])):
        watcher = Lines(verbose=verbose)
        begin(watcher, study)
        watcher.finished(trial)
        assert capsys.readouterr().err.splitlines()[2:] == shown


def test_silence_is_silent(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Silent()
    watcher.note("a")
    watcher.preparing("b")
    begin(watcher, study)
    watcher.started(0, study.trials[0].candidate)
    watcher.stage(0, "build")
    watcher.finished(study.trials[0])
    watcher.stopping()
    watcher.close()
    assert capsys.readouterr() == ("", "")


def test_lines_where_there_is_no_terminal() -> None:
    assert isinstance(watcher_for(), Lines)
    assert isinstance(watcher_for(quiet=True), Silent)
    assert not isinstance(watcher_for(quiet=True), Lines)


def test_live_on_a_terminal_that_can_redraw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "is_screen", lambda _: True)
    watcher = watcher_for()
    watcher.close()
    assert isinstance(watcher, Live)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time that progress sees."""
    now = [time.monotonic()]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return move
