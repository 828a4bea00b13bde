import re
from dataclasses import replace

import numpy as np
import pytest

from dashboards.words import evidence, verdict
from dashboards.words.formats import TIMES
from studies.analysis.view import StudyView
from studies.belief.noise import noise
from studies.core.records import StudyRecord
from studies.finals.verdict import finals
from tests.records import candidate, measured, study_of, study_record
from tests.repeats import (
    close_study,
    thorough_study,
    with_baseline_again,
    with_finals,
    with_racing,
    with_waits,
)

BASE = candidate("fp32", "all", 2, True)


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_the_verdict_is_that_of_the_finals() -> None:
    found = verdict.verdict(StudyView(close_study(factors=(1.0, 1.2, 1.2))))
    pattern = rf"Trial \d is [\d.]+{TIMES} faster than the baseline \(95 % interval .*, 5 sessions\)\."
    assert re.fullmatch(pattern, found)


def test_finals_may_say_to_keep_the_baseline() -> None:
    study = close_study(factors=(1.99, 2.1, 2.1))
    assert verdict.verdict(StudyView(study)).startswith(
        "No significant difference from the baseline: keep it. Trial 1, "
    )
    assert verdict.verdict(StudyView(study)).endswith(", 5 sessions).")
    slower = close_study(factors=(2.2, 2.2, 2.2))
    assert verdict.verdict(StudyView(slower)) == "Nothing beats the baseline: keep it."


def test_finalists_that_do_not_differ_from_the_winner_are_as_fast() -> None:
    study = close_study(factors=(1.0, 1.0, 1.0))
    held = finals(study)
    assert held is not None
    others = sorted({1, 2, 3} - {held.winner.trial})
    assert evidence.rivals(StudyView(study)) == (
        f"Trials {others[0]} and {others[1]} are as fast as trial {held.winner.trial}, "
        "as far as can be measured."
    )
    assert "is as fast as" in evidence.rivals(StudyView(close_study(factors=(1.0, 1.0, 1.1))))


def test_finalists_that_all_differ_are_beaten() -> None:
    found = evidence.rivals(StudyView(close_study(factors=(1.0, 1.1, 1.2))))
    assert found.startswith("No other finalist is as fast (trials ")


def test_no_rivals_for_lone_finalist_or_without_finals() -> None:
    assert evidence.rivals(StudyView(study_record(5))) == ""
    study = with_baseline_again(
        study_of(
            measured(BASE, random(), latency_ms=3.2, error=0.0),
            measured(candidate("int8", "all", 4, True), random(), latency_ms=1.0, error=0.0),
        ),
        random(),
    )
    assert evidence.rivals(StudyView(with_finals(study, random()))) == ""


def spoiled(study: StudyRecord, *trials: int) -> StudyRecord:
    """The study, whose finals found these trials wrong."""
    wrong = measured(BASE, random(), latency_ms=1.6, error=0.5)
    repeats = [
        replace(one, evaluation=wrong) if one.role == "final" and one.trial in trials else one
        for one in study.repeats
    ]
    return replace(study, repeats=tuple(repeats))


def test_a_finalist_that_was_wrong_in_the_finals_is_named_with_the_reason() -> None:
    found = evidence.out(StudyView(spoiled(close_study(), 1)))
    assert found == "Excluded from the finals: trial 1 (misses error<=0.01 in session 1)."
    assert evidence.out(StudyView(close_study())) == ""


def test_finals_without_winner_say_so_without_advice() -> None:
    study = spoiled(close_study(), 0, 1, 2, 3)
    assert finals(study) is None
    assert evidence.rivals(StudyView(study)) == evidence.NO_WINNER
    assert evidence.luck(StudyView(study)) == ""


def test_rebuilds_separate_settings_from_luck() -> None:
    alike = evidence.rebuilds(StudyView(close_study(rebuilds=3)))
    assert alike.startswith("Built anew 3 times, trial ")
    assert "it is the settings, not the luck of a build (spread between builds " in alike
    differ = evidence.rebuilds(StudyView(close_study(rebuilds=1, luck=1.1)))
    assert differ.startswith("Built anew 1 time, trial ")
    assert "was 0.9" in differ
    assert "luck has a part in it, but every build is faster than the baseline (" in differ
    unlucky = evidence.rebuilds(StudyView(close_study(factors=(1.9, 2.1, 2.1), rebuilds=1, luck=1.1)))
    assert "luck has a part in it (" in unlucky
    nothing = evidence.rebuilds(StudyView(close_study(factors=(1.99, 2.1, 2.1), rebuilds=1)))
    assert "no build differs from it for certain (" in nothing
    assert evidence.rebuilds(StudyView(close_study())) == ""


def test_the_self_test_says_what_can_be_told_apart() -> None:
    study = close_study()
    found = noise(study)
    assert found is not None
    per_cent = re.fullmatch(
        r"This machine can tell engines apart that differ by ([\d.]+) % "
        r"\(the baseline measured \d+ times\)\.",
        evidence.detectable(StudyView(study)),
    )
    assert per_cent is not None
    assert float(per_cent[1]) == pytest.approx(100 * found.detectable, rel=0.05)
    assert evidence.detectable(StudyView(study_record(5))) == ""


@pytest.mark.parametrize(("drift", "word"), [(0.05, "slower"), (-0.05, "faster")])
def test_drift_is_reported_with_its_correction(drift: float, word: str) -> None:
    told = evidence.drifted(StudyView(thorough_study(drift=drift)))
    assert told.startswith(f"Drift: the machine became {word} by ")
    assert told.endswith("finalists were chosen by the baseline of their time, and then measured in turn.")


def test_drift_without_finals_says_what_is_done_about_it_and_what_is_better() -> None:
    study = with_baseline_again(study_record(30, failing=0), random(), drift=0.05)
    assert evidence.drifted(StudyView(study)).endswith(
        "trials are compared by the baseline of their time; finals are better (--finalists N)."
    )


def test_no_drift_is_said_with_its_interval() -> None:
    told = evidence.drifted(StudyView(thorough_study()))
    assert re.fullmatch(
        r"No significant drift: over 69\.4 s the baseline changed by -?\d\.\d % \(-\d\.\d to \d\.\d\)\.", told
    )
    assert evidence.drifted(StudyView(study_record(5))) == ""


def test_drift_of_another_metric_is_not_the_machines_speed() -> None:
    study = with_baseline_again(study_record(30, failing=0, objectives=["variation"]), random(), drift=0.05)
    assert "slower" not in evidence.drifted(StudyView(study))


def test_trials_cut_short_are_counted_with_what_that_saved() -> None:
    told = evidence.cut_short(StudyView(with_racing(study_record(30, failing=0))))
    assert re.fullmatch(
        r"\d+ trials were stopped early as clearly slower, which saved about [\d.]+ s of measuring\.", told
    )
    assert evidence.cut_short(StudyView(study_record(30))) == ""


def test_disturbed_trials_are_named_with_the_reason() -> None:
    assert evidence.disturbed(StudyView(thorough_study())) == (
        "Some blocks of trial 1 were disturbed even when repeated (throttled: hw_thermal_slowdown)."
    )
    assert evidence.disturbed(StudyView(study_record(5))) == ""


def test_contention_counts_trials_and_repeats() -> None:
    study = with_baseline_again(study_record(5, failing=0), random())
    gpu = replace(study, spec=replace(study.spec, machine=replace(study.spec.machine, kind="gpu")))
    assert evidence.shared(StudyView(gpu)) == ""
    again = tuple(replace(one, evaluation=with_waits(one.evaluation)) for one in gpu.repeats)
    found = evidence.shared(StudyView(replace(gpu, repeats=again)))
    assert found in evidence.sentences(StudyView(replace(gpu, repeats=again)))
    assert found.startswith(
        f"Something else seems to use the GPU: in {len(again)} of {len(again) + 5} measure"
    )
    assert found.endswith(" When it has ended, search anew: --new --remeasure.")
    assert evidence.shared(StudyView(replace(study, repeats=again))) == ""


def test_luck_is_mentioned_only_without_finals() -> None:
    alone = study_record(20, failing=0)
    assert evidence.luck(StudyView(alone)) == (
        "The best of many trials is partly luck, for which the interval does not allow: the same search with "
        "--finalists N measures the best N again, in turn."
    )
    assert evidence.luck(StudyView(close_study())) == ""
    assert evidence.luck(StudyView(study_record(1))) == ""


def test_luck_says_nothing_of_finals_that_cannot_be_held() -> None:
    study = study_record(20, failing=0, objectives=["latency_ms", "engine_bytes"])
    assert evidence.luck(StudyView(study)) == (
        "The best of many trials is partly luck, for which the interval does not allow."
    )


def test_the_deadline_is_that_of_the_trial_to_deploy() -> None:
    study = close_study(constraints=["p99_bound_ms<=33"], factors=(1.0, 1.2, 1.2))
    assert evidence.deadline(StudyView(study)).startswith(
        "99 % of inferences meet 33 ms with 95 % confidence: 0 misses"
    )
    assert evidence.deadline(StudyView(study_record(5))) == ""


def test_each_sentence_appears_once_and_none_for_a_plain_study() -> None:
    told = evidence.sentences(
        StudyView(thorough_study(drift=0.05, constraints=["error<=0.01", "p99_bound_ms<=33"]))
    )
    beginnings = [text.split()[0] for text in told]
    assert beginnings == ["Built", "99", "This", "Drift:", "12", "Some"]
    assert evidence.sentences(StudyView(study_record(1))) == ()
    assert evidence.sentences(StudyView(study_record(0))) == ()


def test_finals_that_were_stopped_are_not_said_to_have_no_winner() -> None:
    study = close_study(sessions=2)
    assert finals(study) is None
    assert evidence.rivals(StudyView(study)) == evidence.UNFINISHED
