from dataclasses import replace

import numpy as np
import pytest

from dashboards.words.evidence import stopped_early
from studies.core.records import StudyRecord
from tests.records import candidate, measured, study_of, study_record
from tests.repeats import cut_short, with_measurement, with_racing


def study_with(*pruned: int) -> StudyRecord:
    study = study_record(6, failing=0)
    trials = [
        with_measurement(study, trial, cut_short) if trial.number in pruned else trial
        for trial in study.trials
    ]
    return replace(study, trials=tuple(trials))


def spans(study: StudyRecord) -> list[float]:
    return [
        sum(block.span_seconds for block in trial.measurement.blocks)
        for trial in study.trials
        if trial.measurement
    ]


def test_savings_are_what_lacks_of_the_median_trial_that_was_measured_to_the_end() -> None:
    study = study_with(4, 5)
    taken = spans(study)
    usual = (sorted(taken[:4])[1] + sorted(taken[:4])[2]) / 2
    numbers, saved = stopped_early(study)
    assert numbers == (4, 5)
    assert saved == pytest.approx(sum(max(0.0, usual - span) for span in taken[4:]))


def test_nothing_is_said_of_savings_where_few_were_measured_to_the_end() -> None:
    assert stopped_early(study_with(2, 3, 4, 5)) == ((2, 3, 4, 5), None)
    assert stopped_early(study_with()) == ((), None)


def test_a_trial_that_an_earlier_study_measured_saved_nothing_here() -> None:
    study = study_with(4)
    reused = replace(study.trials[4], reused=True)
    numbers, saved = stopped_early(replace(study, trials=(*study.trials[:4], reused, study.trials[5])))
    assert (numbers, saved) == ((4,), 0.0)


def test_a_trial_that_took_longer_than_others_saved_nothing() -> None:
    random = np.random.default_rng(0)
    fast = [measured(candidate("int8", "all", n, True), random, latency_ms=1.0) for n in (1, 2, 4)]
    study = study_of(*fast, measured(candidate("fp32", "all", 8, True), random, latency_ms=9.0))
    assert stopped_early(with_racing(study)) == ((3,), 0.0)
