from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from studies.belief.noise import baseline_runs, drift, freed, noise
from tests.records import START
from tests.studies.repeated import repeat, study_at, with_anchors, with_finals, with_self_test

QUIET = [1.001, 0.999, 1.0, 1.0005]


def test_baseline_runs_are_trial_0_the_self_test_and_the_anchors_but_not_the_finals() -> None:
    study = with_finals(
        with_anchors(with_self_test(study_at(1.0, 0.9), QUIET), {60.0: 1.0}), {0: [1.0] * 3, 1: [0.9] * 3}
    )
    runs = baseline_runs(study.trials, study.repeats, "latency_ms")
    assert [run.role for run in runs] == [None, *["self-test"] * 4, "anchor"]


def test_reused_baseline_is_not_a_run_of_this_study() -> None:
    study = with_self_test(study_at(1.0, 0.9), QUIET)
    reused = replace(study, trials=(replace(study.trials[0], reused=True), *study.trials[1:]))
    assert len(baseline_runs(reused.trials, reused.repeats, "latency_ms")) == 4


def test_level_change_after_the_self_test_counts_as_noise() -> None:
    study = with_self_test(study_at(1.0), QUIET)
    quiet = noise(study)
    noisy = noise(with_anchors(study, {600.0: 1.01, 1200.0: 1.0, 1800.0: 1.01, 2400.0: 1.0}))
    assert quiet is not None
    assert noisy is not None
    assert noisy.runs == quiet.runs + 4
    assert noisy.detectable > 3 * quiet.detectable


def test_steady_drift_does_not_count_as_noise() -> None:
    study = with_self_test(study_at(1.0), QUIET)
    quiet, drifting = noise(study), noise(with_anchors(study, {600.0 * n: 1 + 0.02 * n for n in range(1, 6)}))
    assert quiet is not None
    assert drifting is not None
    assert drifting.spread < 0.005


def test_drift_is_none_without_an_anchor() -> None:
    assert drift(with_self_test(study_at(1.0), QUIET)) is None


def test_drift_is_detected_when_the_machine_becomes_slower() -> None:
    anchors = {600.0 * step: 1.0 + 0.02 * step for step in range(1, 6)}
    found = drift(with_anchors(with_self_test(study_at(1.0), QUIET), anchors))
    assert found is not None
    assert found.significant
    assert found.change.value == pytest.approx(1.1, abs=0.01)
    assert found.hours == pytest.approx(3000 / 3600, rel=0.01)
    assert found.level(START) == pytest.approx(1.0, abs=0.01)
    assert found.level(START + timedelta(seconds=1500)) == pytest.approx(1.05, abs=0.01)
    assert found.level(START + timedelta(hours=9)) == pytest.approx(found.change.value)


def test_noise_alone_is_not_a_significant_drift_and_changes_no_value() -> None:
    random, significant = np.random.default_rng(4), 0
    for _ in range(100):
        anchors = {600.0 * step: float(random.normal(1, 0.01)) for step in range(1, 6)}
        found = drift(with_anchors(with_self_test(study_at(1.0), list(random.normal(1, 0.01, 4))), anchors))
        assert found is not None
        significant += found.significant
        if not found.significant:
            assert found.level(START + timedelta(seconds=1500)) == 1.0
    assert significant <= 12


@pytest.mark.parametrize("metric", ["engine_bytes", "error", "build_seconds", "memory_bytes"])
def test_untimed_metrics_have_neither_noise_nor_drift(metric: str) -> None:
    study = with_anchors(with_self_test(study_at(1.0, objectives=[metric]), QUIET), {600.0: 1.1})
    assert noise(study) is None
    assert drift(study) is None


def test_noise_is_none_when_all_runs_are_equal() -> None:
    study = study_at(1.0)
    same = repeat("self-test", study.trials[0].evaluation)
    assert noise(replace(study, repeats=(same,) * 5)) is None


def test_a_shared_measurement_is_freed_of_the_drift_by_when_it_was_made() -> None:
    study = with_anchors(study_at(2.0, 1.0), {100.0 * step: 1.0 + 0.1 * step for step in range(1, 6)})
    late = replace(study.trials[1], started_at=START + timedelta(seconds=500))
    estimate = late.metrics["latency_ms"]
    assert freed(estimate, late, drift(study)).value < 0.8 * estimate.value
    # its blocks were timed before the study began
    assert freed(estimate, replace(late, same_as=0), drift(study)).value == estimate.value
