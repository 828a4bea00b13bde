from dataclasses import replace

import pytest

from engines.statistics import Estimate
from studies.records import Objective, TrialRecord
from studies.running import Standing
from tests.records import study_record

LATENCY = Objective("latency_ms", "minimize")


def _trial(number: int, value: float, state: str = "feasible", seconds: float = 2.0) -> TrialRecord:
    template = study_record(1).trials[0]
    metrics = {"latency_ms": Estimate(value, value * 0.99, value * 1.01), "throughput": Estimate(1e3 / value)}
    return replace(template, number=number, state=state, metrics=metrics, seconds=seconds)  # type: ignore[arg-type]


def test_the_best_is_the_best_feasible_one() -> None:
    standing = Standing(LATENCY, 10)
    for number, (value, state) in enumerate([(4.0, "feasible"), (1.0, "infeasible"), (2.0, "feasible")]):
        standing.add(_trial(number, value, state))
    assert standing.best_number == 2
    assert (standing.finished, standing.infeasible, standing.failed) == (3, 1, 0)
    assert standing.speedup == 2.0


def test_more_is_better_when_maximizing() -> None:
    standing = Standing(Objective("throughput", "maximize"), 10)
    for number, value in enumerate([4.0, 2.0, 3.0]):
        standing.add(_trial(number, value))
    assert standing.best_number == 1
    assert standing.speedup == pytest.approx(2.0)


def test_the_time_left_follows_from_the_trials_of_this_run() -> None:
    standing = Standing(LATENCY, 10)
    standing.add_all([_trial(0, 4.0, seconds=1000.0)])
    assert standing.seconds_left() is None
    standing.add(_trial(1, 3.0, seconds=2.0))
    standing.add(_trial(2, 3.0, seconds=4.0))
    assert standing.seconds_left() == pytest.approx(7 * 3.0)


def test_the_time_left_is_never_beyond_the_limit() -> None:
    standing = Standing(LATENCY, 1000, seconds=5.0)
    standing.add(_trial(0, 4.0, seconds=10.0))
    left = standing.seconds_left()
    assert left is not None
    assert left <= 5.0


def test_nothing_is_known_before_the_first_trial() -> None:
    standing = Standing(LATENCY, 10)
    assert (standing.best, standing.speedup, standing.seconds_left()) == (None, None, None)
