from dataclasses import replace

import pytest

from engines.core.results import Failure
from studies.core.records import StudyRecord
from studies.finals.select import finalists
from tests.studies.repeated import evaluation, study_at, with_anchors, with_self_test

QUIET = [1.0001, 0.9999, 1.0, 1.00005]
NOISY = [1.03, 0.97, 1.01, 0.99]

FAILED = Failure("build", "refused", "no luck")


def numbers(study: StudyRecord, most: int = 4) -> list[int]:
    return [trial.number for trial in finalists(study, most)]


def test_only_those_that_overlap_the_best_are_measured_again_and_the_baseline_with_them() -> None:
    study = with_self_test(study_at(2.0, 1.0, 1.0002, 1.5), QUIET)
    assert numbers(study) == [0, 1, 2]


def test_more_trials_are_finalists_on_a_noisy_machine() -> None:
    study = with_self_test(study_at(2.0, 1.0, 1.02, 1.05), NOISY)
    assert numbers(study) == [0, 1, 2, 3]
    assert numbers(study, most=2) == [0, 1, 2]


def test_no_finalists_without_a_rival_of_the_baseline_or_when_turned_off() -> None:
    assert numbers(with_self_test(study_at(1.0, 2.0, 3.0), QUIET)) == []
    assert numbers(with_self_test(study_at(2.0, 1.0), QUIET), most=0) == []
    assert numbers(study_at(1.0)) == []


def test_pruned_and_infeasible_trials_are_not_finalists() -> None:
    study = with_self_test(study_at(2.0, 1.0, 1.0, 1.0), QUIET)
    _, one, two, three = study.trials
    assert one.measurement is not None
    pruned = replace(
        one, evaluation=replace(one.evaluation, measurement=replace(one.measurement, pruned=True))
    )
    wrong = replace(two, state="infeasible")
    assert numbers(replace(study, trials=(study.trials[0], pruned, wrong, three))) == [0, 3]


def test_a_trial_that_was_measured_when_the_machine_was_slow_is_judged_by_its_time() -> None:
    # the machine becomes 50 % slower; the second trial would be the best, had it been measured at first
    study = with_self_test(study_at(2.0, 1.0, 1.4), QUIET)
    late = replace(study.trials[2], started_at=study.trials[0].started_at.replace(hour=23))
    study = replace(study, trials=(*study.trials[:2], late))
    assert numbers(study) == [0, 1]
    assert numbers(with_anchors(study, {100.0 * step: 1.0 + 0.1 * step for step in range(1, 6)})) == [0, 2]


@pytest.mark.parametrize("objectives", [["latency_ms", "error"], ["engine_bytes"]])
def test_a_front_and_an_exact_objective_need_no_finals(objectives: list[str]) -> None:
    assert numbers(with_self_test(study_at(2.0, 1.0, objectives=objectives), QUIET)) == []


def test_no_finalists_without_a_measured_baseline() -> None:
    study = study_at(2.0, 1.0)
    failed = replace(evaluation(study.trials[0].candidate, 1.0), measurement=None, failure=FAILED)
    broken = replace(study.trials[0], evaluation=failed, state="failed", metrics={})
    assert numbers(replace(study, trials=(broken, study.trials[1]))) == []


def test_trials_that_share_a_measurement_are_one_finalist() -> None:
    study = with_self_test(study_at(2.0, 1.0, 1.0, 1.0001, 2.0), QUIET)
    first, one, two, three, four = study.trials
    twins = replace(two, same_as=1), three, replace(four, same_as=0)
    shared = replace(study, trials=(first, one, *twins))
    assert numbers(shared) == [0, 1, 3]
    # the first of them is out for its error, which weights may decide
    wrong = replace(one, state="infeasible")
    assert numbers(replace(shared, trials=(first, wrong, *twins))) == [0, 2, 3]
