"""The end of a search in words: verdict, reasons, what to type next."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dashboards.words import evidence
from dashboards.words import verdict as wording
from engines.core.results import Failure
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord, TrialRecord
from studies.run.limits import Limits
from studies.search.stopping import Left
from tests.records import study_record
from tests.repeats import close_study
from tuner.output.summary import (
    MOST_REASONS,
    comparison_table,
    lines_after,
    next_steps,
    print_outcome,
    reasons_of,
)
from tuner.terminal.tables import add_row, new_table, print_table
from tuner.workflows.outcome import Outcome


def _failing(trial: TrialRecord, number: int, message: str) -> TrialRecord:
    failure = Failure("build", "refused", message)
    evaluation = replace(trial.evaluation, failure=failure, measurement=None)
    return replace(trial, number=number, state="failed", violations={}, evaluation=evaluation)


def _outcome(study: StudyRecord, **changes: object) -> Outcome:
    outcome = Outcome(study, "complete", Path("out/report.html"), Path("out/engine"), len(study.trials))
    return replace(outcome, **changes)  # type: ignore[arg-type]


@pytest.fixture
def study() -> StudyRecord:
    return study_record(10, failing=0)


def test_reason_is_listed_once_with_its_trials(study: StudyRecord) -> None:
    trial = study.trials[1]
    messages = ["it is so", "as in trial 1: it is so", "it\nis   so", "otherwise"]
    trials = [_failing(trial, number, message) for number, message in enumerate(messages, 1)]
    assert reasons_of(trials) == [
        "trials 1, 2, 3: failed at build: it is so",
        "trial 4: failed at build: otherwise",
    ]


def test_many_trials_of_a_reason_are_cut_short(study: StudyRecord) -> None:
    trials = [_failing(study.trials[1], number, "no") for number in range(1, 30)]
    assert reasons_of(trials) == ["trials 1, 2, 3, 4, 5, 6, 7, 8, ...: failed at build: no"]


def test_what_misses_a_constraint_says_how_near_the_nearest_came() -> None:
    study = study_record(20, constraints=["error<=0.0001"], failing=0)
    missing = [trial for trial in study.trials if trial.state == "infeasible"]
    errors = [trial.metrics["error"].value for trial in missing]
    reasons = reasons_of(study.trials)
    assert len(reasons) == 1
    assert "misses error<=0.0001 (at best " in reasons[0]
    assert f"{min(errors):.3g}"[:4] in reasons[0]
    assert reasons_of(missing[:1])[0].endswith(")")
    assert "(is " in reasons_of(missing[:1])[0]


def test_long_list_of_reasons_is_shortened(study: StudyRecord) -> None:
    trial = study.trials[1]
    trials = tuple(_failing(trial, number, f"reason {number}") for number in range(1, MOST_REASONS + 4))
    lines = lines_after(StudyView(replace(study, name="a b", trials=(study.trials[0], *trials))))
    assert sum("reason " in line for line in lines) == MOST_REASONS
    assert lines[-1] == "  and 3 other reasons: tuner show 'a b'"


def test_a_long_message_is_shortened(study: StudyRecord) -> None:
    reason = reasons_of([_failing(study.trials[1], 1, 1000 * "x")])[0]
    assert len(reason) < 220
    assert reason.endswith("…")


def test_next_commands_are_valid(study: StudyRecord) -> None:
    steps = next_steps(_outcome(replace(study, name="my study")))
    assert steps[-1] == (
        "Next    tuner show 'my study'  |  tuner dashboard 'my study' --open  |  tuner export 'my study' DIR"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ending": "timeout"}, "The time was up; run the same command again to go on."),
        ({"ending": "interrupted", "new_trials": 0}, "Interrupted: everything finished is saved; "),
        ({"ending": "exhausted"}, "Nothing is left to try: "),
        ({"ending": "exhausted", "new_trials": 0}, "Nothing was left to do: resnet-tiny has tried all"),
        ({"ending": "complete", "new_trials": 0, "new_repeats": 5}, "Engine  out/engine"),
        ({"ending": "complete", "new_trials": 0}, "Nothing was left to do: resnet-tiny has its 10 trials"),
    ],
)
def test_ending_comes_first(study: StudyRecord, changes: dict[str, object], said: str) -> None:
    assert next_steps(_outcome(study, **changes))[0].startswith(said)


def test_a_search_that_stopped_by_itself_says_what_is_left_and_how_to_go_on(study: StudyRecord) -> None:
    stopped = {"ending": "converged", "limits": Limits(50, min_gain=0.01), "left": Left(0.0021, 0.04)}
    for new_trials in (10, 0):
        (said, *_) = next_steps(_outcome(study, **stopped, new_trials=new_trials))
        assert said == (
            "Stopped after 10 of 50 trials: another 1 % is 4 % likely, and 0.21 % to be expected of going "
            "on. To go on, run the same command with --min-gain 0."
        )
    noisy = {**stopped, "left": Left(0.0021, 0.04, 0.031)}
    assert (
        "another 3.1 %, the least that this machine can tell apart, is 4 % likely, and"
        in next_steps(_outcome(study, **noisy))[0]
    )
    assert next_steps(_outcome(study, ending="converged"))[0].startswith(
        "Stopped, since little is left to gain"
    )


def test_complete_search_has_no_line_on_its_ending(study: StudyRecord) -> None:
    assert next_steps(_outcome(study))[0].startswith("Engine  out/engine (trial ")


def test_without_an_engine_none_is_named(study: StudyRecord) -> None:
    assert next_steps(_outcome(study, exported=None))[0].startswith("Report  ")


def test_a_baseline_that_is_the_best_has_one_column(
    study: StudyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(comparison_table(StudyView(replace(study, trials=study.trials[:1]))))
    assert capsys.readouterr().out.splitlines()[0].split() == ["baseline", "(trial", "0)"]


def test_the_settings_in_which_the_best_differs_stand_below_the_metrics(
    study: StudyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    print_outcome(_outcome(study))
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if "  " in line and not line.startswith(" ")]
    assert names.index("build_seconds") < names.index("precision")
    assert "streams" not in names


def test_the_finals_are_a_table_and_what_stands_behind_the_verdict_follows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = close_study()
    print_outcome(_outcome(found))
    lines = capsys.readouterr().out.splitlines()
    heading = next(line for line in lines if line.startswith("finalist"))
    assert re.split(r"\s{2,}", heading) == ["finalist", "value", "against the winner", "against the baseline"]
    after = lines.index(heading)
    assert {line.split("  ")[0] for line in lines[after + 1 : after + 5]} == {
        "baseline",
        "trial 1",
        "trial 2",
        "trial 3",
    }
    verdict = lines.index(wording.verdict(StudyView(found)))
    assert verdict > after
    told = evidence.sentences(StudyView(found))
    assert lines[verdict + 1 : verdict + 1 + len(told)] == list(told)


def test_an_interrupted_search_without_a_trial_has_no_table(
    study: StudyRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    print_outcome(_outcome(replace(study, trials=()), ending="interrupted", exported=None, new_trials=0))
    assert capsys.readouterr().out.splitlines()[0] == "No trial has finished yet."


def test_a_table_is_as_wide_as_it_needs_and_no_cell_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = new_table("name", "value")
    add_row(table, "[bold]x[/]", 500 * "y")
    add_row(table, "two\nlines", "")
    print_table(table)
    assert capsys.readouterr().out.splitlines() == [
        "name        value",
        f"[bold]x[/]  {500 * 'y'}",
        "two lines",
    ]
