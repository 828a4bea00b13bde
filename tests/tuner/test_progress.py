"""The lines and the display of a running search, fed with made-up records."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from studies.limits import Limits
from studies.records import StudyRecord, TrialRecord
from studies.running import Standing
from studies.stopping import Left
from tests.command import Command
from tests.records import study_record
from tuner import streams
from tuner.progress import (
    FIRST_REMINDER_SECONDS,
    STOPPING,
    Lines,
    Live,
    Silent,
    watcher_for,
)
from tuner.progress_lines import beginning, counts_line, standing_line, trial_line
from tuner.searching import Watcher


@pytest.fixture
def study() -> StudyRecord:
    return study_record(12, failing=0.3, seed=3)


def _begin(watcher: Watcher, study: StudyRecord, known: int = 0) -> None:
    watcher.begin(study.name, study.spec, Limits(len(study.trials)), study.trials[:known])


def _failed(study: StudyRecord) -> TrialRecord:
    return next(trial for trial in study.trials if trial.failure is not None)


def test_there_is_a_line_a_trial(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Lines()
    _begin(watcher, study)
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
    assert f"failed at {_failed(study).failure.stage} (" in printed.err  # type: ignore[union-attr]
    assert "; best " in lines[-1]
    assert "faster than the baseline so far" in lines[-1]


def test_every_tenth_trial_says_what_is_left(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Lines()
    _begin(watcher, study)
    for trial in study.trials:
        watcher.finished(trial)
    (counts,) = [line for line in capsys.readouterr().err.splitlines() if "trials, " in line]
    assert re.fullmatch(r"10 of 12 trials, \d failed, \d infeasible, \d s passed, about \d+ s left", counts)


def test_the_chance_of_more_is_said_once_it_is_known(study: StudyRecord) -> None:
    standing = Standing(study.spec, 50, min_gain=0.01)
    standing.add_all(study.trials)
    assert "likely" not in counts_line(standing)
    standing.left = Left(gain=0.02, chance=0.8, least=0.01)
    assert counts_line(standing).endswith(" left, 1 % more: 80 % likely")
    standing.left = Left(gain=0.02, chance=0.8, least=0.031)
    assert counts_line(standing).endswith(
        " left, 3.1 % more (the least that this machine can tell apart): 80 % likely"
    )
    standing.min_gain = None
    assert "likely" not in counts_line(standing)


@pytest.mark.parametrize("kind", [Lines, Live])
def test_what_is_left_to_gain_is_kept_for_the_next_line(study: StudyRecord, kind: type[Lines | Live]) -> None:
    watcher = kind()
    try:
        watcher.expecting(Left(0.1, 0.9))  # before there is anything to show
        _begin(watcher, study)
        watcher.expecting(Left(0.002, 0.11))
        assert watcher._standing is not None
        assert watcher._standing.left == Left(0.002, 0.11)
    finally:
        watcher.close()


def test_what_takes_long_is_said_again_ever_less_often(
    study: StudyRecord, capsys: pytest.CaptureFixture[str], clock: Callable[[float], None]
) -> None:
    watcher = Lines()
    _begin(watcher, study)
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
    _begin(watcher, study)
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
    trial = replace(_failed(study), log="\x1b[31mfirst\x1b[0m\n\n  second\n")
    for verbose, shown in ((True, ["first", "  second"]), (False, [])):
        watcher = Lines(verbose=verbose)
        _begin(watcher, study)
        watcher.finished(trial)
        assert capsys.readouterr().err.splitlines()[2:] == shown


def test_silence_is_silent(study: StudyRecord, capsys: pytest.CaptureFixture[str]) -> None:
    watcher = Silent()
    watcher.note("a")
    watcher.preparing("b")
    _begin(watcher, study)
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


def test_the_display_shows_everything_at_once(study: StudyRecord) -> None:
    watcher = Live()
    try:
        watcher.preparing("computing the reference outputs")
        assert "computing the reference outputs  0 s" in _drawn(watcher)
        _begin(watcher, study)
        for trial in study.trials[:6]:
            watcher.started(trial.number, trial.candidate)
            watcher.finished(trial)
        watcher.started(6, study.trials[6].candidate)
        watcher.stage(6, "measure")
        drawn = _drawn(watcher)
        assert "trial 6: measuring  0 s" in drawn
        assert "precision=" in drawn
        assert "best " in drawn
        assert re.search(r"6 of 12 trials, \d failed, \d infeasible, \d s passed, about \d+ s left", drawn)
        assert STOPPING not in drawn
        watcher.stopping()
        assert STOPPING in _drawn(watcher)
        # which is called again and again while finalists are measured
        watcher.preparing("measuring the finalists again")
        assert STOPPING in _drawn(watcher)
    finally:
        watcher.close()


def test_a_display_for_a_narrow_terminal_has_as_many_lines(study: StudyRecord) -> None:
    watcher = Live()
    try:
        _begin(watcher, study, known=6)
        watcher.started(6, study.trials[6].candidate)
        assert _drawn(watcher, 15).count("\n") == _drawn(watcher, 200).count("\n") == 4
    finally:
        watcher.close()


def _drawn(watcher: Live, columns: int = 200) -> str:
    console = Console(width=columns, file=None)
    with console.capture() as captured:
        console.print(watcher._render())
    return captured.get()


# the lines by themselves


def _standing(study: StudyRecord) -> Standing:
    standing = Standing(study.spec, len(study.trials))
    standing.add_all(study.trials)
    return standing


def test_the_beginning_says_whether_it_goes_on(study: StudyRecord) -> None:
    assert beginning("s", Limits(12), ()) == "study s: up to 12 trials"
    assert beginning("s", Limits(1), ()) == "study s: up to 1 trial"
    assert (
        beginning("s", Limits(13), study.trials)
        == "going on with study s behind trial 11: up to 1 more trial"
    )
    assert beginning("s", Limits(12), study.trials) == "study s has 12 trials already"
    assert beginning("s", Limits(3), study.trials) == "study s has 12 trials already"


def test_the_standing_before_anything_is_known(study: StudyRecord) -> None:
    standing = Standing(study.spec, 12)
    assert standing_line(standing) == "no trial has finished yet"
    standing.add(_failed(study))
    assert standing_line(standing) == "nothing feasible yet"
    standing.add(study.trials[0])
    assert re.fullmatch(r"best [\d.]+ ± [\d.]+ ms \(the baseline\)", standing_line(standing))


def test_a_throughput_that_is_larger_is_called_faster() -> None:
    study = study_record(12, objectives=["throughput"], failing=0)
    assert "faster than the baseline" in standing_line(_standing(study))


def test_without_a_baseline_there_is_nothing_to_compare_with(study: StudyRecord) -> None:
    standing = _standing(study)
    standing.baseline = None
    assert standing_line(standing).endswith(f"(trial {standing.best_number})")


def test_what_was_stopped_early_says_so(study: StudyRecord) -> None:
    trial = next(one for one in study.trials if one.state == "feasible")
    assert trial.measurement is not None
    short = replace(trial.evaluation, measurement=replace(trial.measurement, behind=True))
    line = trial_line(replace(trial, evaluation=short), _standing(study))
    assert line.endswith(", stopped early: clearly worse than the best")
    assert "stopped early" not in trial_line(trial, _standing(study))


def test_the_time_left_is_said_only_while_there_is_any(study: StudyRecord) -> None:
    standing = Standing(study.spec, 12)
    assert "left" not in counts_line(standing)
    standing.add(study.trials[0])
    assert "about " in counts_line(standing)
    standing.add_all(study.trials[1:])
    assert "left" not in counts_line(standing)
    assert counts_line(standing).startswith("12 of 12 trials, ")


def test_a_long_message_of_many_lines_is_one_short_line(study: StudyRecord) -> None:
    failed = _failed(study)
    assert failed.failure is not None
    failure = replace(failed.failure, message="first\n  second " + 400 * "x")
    evaluation = replace(failed.evaluation, failure=failure)
    line = trial_line(replace(failed, evaluation=evaluation), _standing(study))
    assert "first second xxx" in line
    assert len(line) < 350


def test_what_is_known_from_an_earlier_study_is_marked(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1)
    again = command("search", model, "--backend", "fake", "--trials", 1, "--new")
    assert "trial 0: " in again.err
    assert "ms (known from an earlier study); best" in again.err


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the time that progress sees."""
    now = [time.monotonic()]

    def move(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return move
