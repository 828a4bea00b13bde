from dataclasses import replace

import numpy as np
import pytest

from dashboards.words import verdict
from dashboards.words.formats import TIMES
from engines.core.results import Evaluation
from engines.statistics.estimates import Direction
from studies.analysis.view import StudyView
from studies.core.metrics import METRICS
from studies.core.records import Objective, StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import with_baseline_again

BASE = candidate("fp32", "all", 2, True)
OTHER = candidate("int8", "all", 4, True)
COMPARATIVES = {"fast": "faster", "small": "smaller", "large": "larger"}


def made(latency_ms: float, error: float = 0.0, blocks: int = 6) -> Evaluation:
    return measured(OTHER, np.random.default_rng(0), latency_ms=latency_ms, error=error, blocks=blocks)


def reference(latency_ms: float, error: float = 0.0, blocks: int = 6) -> Evaluation:
    random = np.random.default_rng(1)
    return measured(BASE, random, latency_ms=latency_ms, error=error, blocks=blocks)


def said(study: StudyRecord) -> tuple[str, str]:
    return verdict.headline(StudyView(study)), verdict.verdict(StudyView(study))


def test_a_gain_is_said_with_its_interval() -> None:
    head, sentence = said(study_of(reference(3.0), made(1.5)))
    assert head.endswith(f"{TIMES} faster")
    assert sentence.startswith("Trial 1 is ")
    assert "faster than the baseline (95 % interval " in sentence


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_words_for_better_and_worse(name: str) -> None:
    objective = Objective(name, METRICS[name].better)
    better, worse = (verdict.comparative(objective, better=which) for which in (True, False))
    assert better == COMPARATIVES[verdict.quality(objective)]
    assert {better, worse} in ({"faster", "slower"}, {"smaller", "larger"})


@pytest.mark.parametrize(("direction", "word"), [("minimize", "smaller"), ("maximize", "larger")])
def test_a_metric_of_the_users_is_called_small_or_large(direction: Direction, word: str) -> None:
    assert verdict.comparative(Objective("f1", direction)) == word


def test_no_difference_says_to_keep_the_baseline() -> None:
    head, sentence = said(study_of(reference(2.0), made(1.9999)))
    assert head == "Keep the baseline"
    assert sentence.startswith(
        "No significant difference from the baseline: keep it. Trial 1, the best, is 1.0"
    )


def test_a_difference_too_small_for_the_machine_is_said_to_be_that() -> None:
    study = study_of(reference(2.0, blocks=20), made(1.95, blocks=20))
    study = with_baseline_again(study, np.random.default_rng(0))
    sentence = verdict.verdict(StudyView(study))
    assert sentence.startswith(
        "No significant difference from the baseline: keep it. Trial 1, the best, is 1.0"
    )
    assert sentence.endswith("), less than this machine can tell apart when each is measured once.")
    assert "(95 % interval 1.0" in sentence


def test_nothing_better_says_to_keep_the_baseline() -> None:
    assert said(study_of(reference(2.0), made(3.0))) == (
        "Keep the baseline",
        "Nothing beats the baseline: keep it.",
    )


def test_baseline_alone_has_no_comparison() -> None:
    assert verdict.verdict(StudyView(study_of(reference(2.0)))) == "Only the baseline was tried so far."


def test_an_infeasible_baseline_is_not_to_be_kept() -> None:
    head, sentence = said(study_of(reference(2.0, error=1.0), made(1.9999)))
    assert head == "As good as the baseline"
    assert sentence.startswith("Trial 1 keeps the constraints that the baseline misses, and is 1.0")


def test_a_slower_best_is_said_with_the_interval_the_same_way_round() -> None:
    head, sentence = said(study_of(reference(1.0, error=1.0), made(2.0)))
    assert head.endswith(f"{TIMES} slower")
    assert "slower than the baseline, which misses a constraint (95 % interval 1.9" in sentence


def test_a_gain_without_an_interval_is_called_unproven() -> None:
    head, sentence = said(study_of(reference(3.0, blocks=1), made(1.5, blocks=1)))
    assert head.endswith("faster (unproven)")
    assert "not measured long enough for an interval" in sentence


def test_a_failed_baseline_is_said() -> None:
    head, sentence = said(study_of(failed(BASE, *FAILURES[0]), made(1.5)))
    assert head == "Nothing to compare with"
    assert sentence.startswith("The baseline has no value to compare with; the best is trial 1 at 1.")


def test_nothing_feasible_names_the_constraint_missed_most() -> None:
    study = study_of(reference(3.0, error=1.0), made(1.5, error=0.5), failed(OTHER, *FAILURES[0]))
    assert said(study) == (
        "Nothing feasible",
        "No trial is feasible: 2 infeasible, 1 failed; 2 miss error<=0.01.",
    )


def test_a_study_that_has_not_begun_says_so() -> None:
    assert verdict.verdict(StudyView(study_record(0))) == "No trial has finished yet."
    assert verdict.counted(study_record(0)) == "no trials"


def test_sizes_are_smaller_not_faster_and_zero_has_no_factor() -> None:
    sizes = study_of(reference(3.0), made(3.0), objectives=["engine_bytes"])
    assert verdict.comparative(sizes.spec.objectives[0]) == "smaller"
    exact = study_of(reference(3.0, error=0.001), made(3.0), objectives=["error"])
    assert said(exact) == ("smaller", "Trial 1 is smaller than the baseline.")


def test_a_bound_that_too_few_samples_show_is_said_so() -> None:
    few = study_of(reference(3.0, blocks=1), constraints=["p99_bound_ms<=1e-9"]).trials[0]
    without = replace(few, metrics={"latency_ms": few.metrics["latency_ms"]})
    assert verdict.missed(without) == "p99_bound_ms<=1e-09 (too few samples to tell)"


def test_constraints_missed_are_named_with_the_value() -> None:
    trial = study_of(reference(3.0, error=0.5)).trials[0]
    assert verdict.missed(trial) == "error<=0.01 (is 0.5000)"
    unknown = replace(trial, metrics={}, violations={"memory_bytes<=10": float("inf")})
    assert "inf" not in verdict.missed(unknown)


def test_what_needs_nothing_at_all_is_smaller() -> None:
    held = zip((reference(1.0), made(1.0)), (4096, 0), strict=True)
    study = study_of(*(holding(one, size) for one, size in held), objectives=["memory_bytes"])
    assert said(study) == (
        "smaller (unproven)",
        "Trial 1 looks smaller than the baseline, but was not measured long enough for an interval.",
    )


def holding(evaluation: Evaluation, memory_bytes: int) -> Evaluation:
    assert evaluation.measurement is not None
    return replace(evaluation, measurement=replace(evaluation.measurement, memory_bytes=memory_bytes))
