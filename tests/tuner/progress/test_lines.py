"""The texts about a running search by themselves."""

import re
from dataclasses import replace
from pathlib import Path

from studies.analysis.standing import Progress
from studies.core.records import StudyRecord
from studies.run.limits import Limits
from studies.search.stopping import Left
from tests.command import Command
from tests.records import study_record
from tests.tuner.watching import failed
from tuner.progress.lines import beginning, counts_line, standing_line, trial_line


def test_the_beginning_says_whether_it_goes_on(study: StudyRecord) -> None:
    assert beginning("s", Limits(12), ()) == "study s: up to 12 trials"
    assert beginning("s", Limits(1), ()) == "study s: up to 1 trial"
    assert (
        beginning("s", Limits(13), study.trials) == "going on with study s after trial 11: up to 1 more trial"
    )
    assert beginning("s", Limits(12), study.trials) == "study s has 12 trials already"
    assert beginning("s", Limits(3), study.trials) == "study s has 12 trials already"


def test_the_standing_before_anything_is_known(study: StudyRecord) -> None:
    standing = Progress(study.spec, 12)
    assert standing_line(standing) == "no trial has finished yet"
    standing.add(failed(study))
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
    short = replace(trial.evaluation, measurement=replace(trial.measurement, pruned=True))
    line = trial_line(replace(trial, evaluation=short), _standing(study))
    assert line.endswith(", stopped early: clearly worse than the best")
    assert "stopped early" not in trial_line(trial, _standing(study))


def test_the_time_left_is_said_only_while_there_is_any(study: StudyRecord) -> None:
    standing = Progress(study.spec, 12)
    assert "left" not in counts_line(standing)
    standing.add(study.trials[0])
    assert "about " in counts_line(standing)
    standing.add_all(study.trials[1:])
    assert "left" not in counts_line(standing)
    assert counts_line(standing).startswith("12 of 12 trials, ")


def test_the_chance_of_more_is_said_once_it_is_known(study: StudyRecord) -> None:
    standing = Progress(study.spec, 50, min_gain=0.01)
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


def test_a_long_message_of_many_lines_is_one_short_line(study: StudyRecord) -> None:
    trial = failed(study)
    assert trial.failure is not None
    failure = replace(trial.failure, message="first\n  second " + 400 * "x")
    evaluation = replace(trial.evaluation, failure=failure)
    line = trial_line(replace(trial, evaluation=evaluation), _standing(study))
    assert "first second xxx" in line
    assert len(line) < 350


def test_what_is_known_from_an_earlier_study_is_marked(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1)
    again = command("search", model, "--backend", "fake", "--trials", 1, "--new")
    assert "trial 0: " in again.err
    assert "ms (known from an earlier study); best" in again.err


def _standing(study: StudyRecord) -> Progress:
    standing = Progress(study.spec, len(study.trials))
    standing.add_all(study.trials)
    return standing
