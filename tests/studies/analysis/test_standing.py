from dataclasses import replace

import pytest

from engines.statistics.estimates import Estimate
from studies.analysis.standing import Progress
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import TrialRecord
from tests.records import study_record, study_spec

LATENCY = study_spec()
NO_FINALS = replace(MeasurementPlan(), finalists=0)


def _trial(number: int, value: float, state: str = "feasible", seconds: float = 2.0) -> TrialRecord:
    template = study_record(1).trials[0]
    metrics = {"latency_ms": Estimate(value, value * 0.99, value * 1.01), "throughput": Estimate(1e3 / value)}
    return replace(template, number=number, state=state, metrics=metrics, seconds=seconds)  # type: ignore[arg-type]


def test_the_best_is_the_best_feasible_one() -> None:
    standing = Progress(LATENCY, 10)
    for number, (value, state) in enumerate([(4.0, "feasible"), (1.0, "infeasible"), (2.0, "feasible")]):
        standing.add(_trial(number, value, state))
    assert standing.best_number == 2
    assert (standing.finished, standing.infeasible, standing.failed) == (3, 1, 0)
    assert standing.speedup == 2.0


def test_best_is_the_largest_when_maximizing() -> None:
    standing = Progress(study_spec(["throughput"]), 10)
    for number, value in enumerate([4.0, 2.0, 3.0]):
        standing.add(_trial(number, value))
    assert standing.best_number == 1
    assert standing.speedup == pytest.approx(2.0)


def test_the_time_left_shrinks_with_the_trials_that_are_left() -> None:
    standing = Progress(LATENCY, 10)
    standing.add_all([_trial(0, 4.0)])
    first = standing.seconds_left()
    standing.add(_trial(1, 3.0))
    second = standing.seconds_left()
    assert first is not None
    assert second is not None
    assert 0 < second < first


def test_time_left_is_estimated_from_trials_of_an_earlier_run() -> None:
    at_once, one_by_one = Progress(LATENCY, 10), Progress(LATENCY, 10)
    records = [_trial(0, 4.0), _trial(1, 3.0, seconds=5.0)]
    at_once.add_all(records)
    for record in records:
        one_by_one.add(record)
    assert at_once.seconds_left() == one_by_one.seconds_left()


def test_the_time_left_includes_the_finals() -> None:
    with_finals, without = (
        Progress(LATENCY, 10, measurement_plan=MeasurementPlan()),
        Progress(LATENCY, 10, measurement_plan=NO_FINALS),
    )
    for standing in (with_finals, without):
        standing.add(_trial(0, 4.0))
    assert (with_finals.seconds_left() or 0.0) > (without.seconds_left() or 0.0)


def test_time_limit_cuts_the_search_but_not_the_required_sessions() -> None:
    alone, standing = Progress(LATENCY, 1000, seconds=5.0), Progress(LATENCY, 1000, 5.0, MeasurementPlan())
    for one in (alone, standing):
        one.add(_trial(0, 4.0, seconds=10.0))
    left, with_finals = alone.seconds_left(), standing.seconds_left()
    assert left is not None
    assert left <= 5.0
    assert with_finals is not None
    assert left < with_finals < 60.0


def test_progress_is_none_before_the_first_trial() -> None:
    standing = Progress(LATENCY, 10)
    assert (standing.best, standing.speedup, standing.seconds_left()) == (None, None, None)
