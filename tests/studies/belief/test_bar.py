from dataclasses import replace
from datetime import timedelta

import pytest

from studies.belief.bar import bar_of
from studies.belief.devices import Beliefs, DeviceBelief
from studies.belief.noise import Noise, drift
from studies.core.records import Objective
from tests.records import START
from tests.studies.repeated import study_at, with_anchors, with_self_test

NOISE = Noise(spread=0.01, between=0.01, runs=6, detectable=0.05)
NOISY = Beliefs(devices={"": DeviceBelief(NOISE)})
LATENCY = (Objective("latency_ms", "minimize"),)


def test_the_bar_is_the_best_feasible_trial_with_the_noise_enlarged_for_its_few_runs() -> None:
    trials = study_at(3.0, 1.0, 2.0).trials
    bar = bar_of(trials, LATENCY, NOISY)
    assert bar is not None
    assert bar.value == trials[1].metrics["latency_ms"].value
    # t(0.9995) is 6.869 for 5 degrees of freedom, 3.291 for many
    assert bar.spread == pytest.approx(0.01 * 6.869 / 3.291, rel=1e-3)


def test_an_infeasible_trial_sets_no_bar_and_neither_does_one_that_was_cut_short() -> None:
    trials = study_at(3.0, 1.0).trials
    assert trials[1].measurement is not None
    short = replace(trials[1].evaluation, measurement=replace(trials[1].measurement, pruned=True))
    for other in (replace(trials[1], state="infeasible"), replace(trials[1], evaluation=short)):
        bar = bar_of([trials[0], other], LATENCY, NOISY)
        assert bar is not None
        assert bar.value == trials[0].metrics["latency_ms"].value


def test_bar_is_the_largest_when_maximizing() -> None:
    trials = study_at(3.0, 1.0, objectives=["throughput"]).trials
    bar = bar_of(trials, (Objective("throughput", "maximize"),), NOISY)
    assert bar is not None
    assert bar.value == trials[1].metrics["throughput"].value


@pytest.mark.parametrize(
    "objectives",
    [
        (*LATENCY, Objective("error", "minimize")),
        (Objective("engine_bytes", "minimize"),),
        (Objective("cold_ms", "minimize"),),
    ],
)
def test_no_bar_for_an_objective_that_is_not_timed(objectives: tuple[Objective, ...]) -> None:
    metric = objectives[0].metric
    trials = [
        replace(trial, metrics={**trial.metrics, metric: trial.metrics["latency_ms"]})
        for trial in study_at(3.0, 1.0).trials
    ]
    assert bar_of(trials, objectives, NOISY) is None


def test_there_is_no_bar_without_a_self_test_or_a_trial() -> None:
    trials = study_at(3.0).trials
    assert bar_of(trials, LATENCY, Beliefs()) is None
    assert bar_of([], LATENCY, NOISY) is None


@pytest.mark.parametrize(
    ("slower", "seconds", "level"),
    [
        (0.02, 3000, 1.1),
        # nobody has looked since: it may have gone on
        (0.02, 6000, 1.1**2),
        # or it may not, and a bar that is too strict stops the best
        (-0.02, 6000, 0.9),
    ],
)
def test_the_bar_moves_with_a_machine_that_drifts(slower: float, seconds: float, level: float) -> None:
    study = with_self_test(study_at(1.0, 0.5), [1.0002, 0.9998, 1.0001, 0.9999])
    study = with_anchors(study, {600.0 * step: 1.0 + slower * step for step in range(1, 6)})
    at = START + timedelta(seconds=seconds)
    bar = bar_of(study.trials, LATENCY, Beliefs(devices={"": DeviceBelief(NOISE, drift(study))}), "", at)
    assert bar is not None
    assert bar.value == pytest.approx(0.5 * level, rel=0.02)


def test_measurement_of_another_study_sets_no_bar() -> None:
    trials = study_at(3.0, 1.0, 2.0).trials
    bar = bar_of([trials[0], replace(trials[1], reused=True), trials[2]], LATENCY, NOISY)
    assert bar is not None
    assert bar.value == trials[2].metrics["latency_ms"].value
