from dataclasses import replace

import pytest

from engines.statistics import Estimate
from studies.noise import Noise
from studies.racing import bar_of
from studies.records import Objective
from tests.studies.repeated import study_at

NOISE = Noise(spread=0.01, between=0.01, runs=6, detectable=0.05)
LATENCY = (Objective("latency_ms", "minimize"),)


def test_the_bar_is_the_far_end_of_the_best_feasible_trials_interval() -> None:
    bar = bar_of(study_at(3.0, 1.0, 2.0).trials, LATENCY, NOISE)
    assert bar is not None
    assert 1.02 < bar.value < 1.04
    assert bar.spread == 0.01


def test_an_infeasible_trial_sets_no_bar() -> None:
    trials = study_at(3.0, 1.0).trials
    bar = bar_of([trials[0], replace(trials[1], state="infeasible")], LATENCY, NOISE)
    assert bar is not None
    assert bar.value > 3.0


def test_where_more_is_better_the_bar_is_below_the_best() -> None:
    trials = study_at(3.0, 1.0, objectives=["throughput"]).trials
    bar = bar_of(trials, (Objective("throughput", "maximize"),), NOISE)
    assert bar is not None
    assert bar.value == pytest.approx(trials[1].metrics["throughput"].value * 0.97, rel=0.01)


@pytest.mark.parametrize(
    "objectives",
    [(*LATENCY, Objective("error", "minimize")), (Objective("engine_bytes", "minimize"),)],
)
def test_there_is_no_bar_where_slow_is_not_worse(objectives: tuple[Objective, ...]) -> None:
    assert bar_of(study_at(3.0, 1.0).trials, objectives, NOISE) is None


def test_there_is_no_bar_without_a_self_test_a_trial_or_an_interval() -> None:
    trials = study_at(3.0).trials
    assert bar_of(trials, LATENCY, None) is None
    assert bar_of([], LATENCY, NOISE) is None
    unsure = replace(trials[0], metrics={"latency_ms": Estimate(3.0)})
    assert bar_of([unsure], LATENCY, NOISE) is None
