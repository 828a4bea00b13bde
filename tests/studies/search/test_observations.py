import math
from dataclasses import replace

import pytest

from engines.core.results import Failure
from studies.belief.devices import Beliefs, DeviceBelief, beliefs
from studies.belief.noise import Noise, drift
from studies.core.records import StudyRecord
from studies.search.observations import USUAL_VARIANCE, margin, observation_of
from tests.records import study_record
from tests.repeats import thorough_study


def _study(**more: object) -> StudyRecord:
    return study_record(12, failing=0.0, constraints=["error<=0.001", "p99_ms<=6"], **more)  # type: ignore[arg-type]


def test_a_measured_trial_has_values_their_variance_and_margins() -> None:
    study = _study()
    record = study.trials[3]
    found = observation_of(record, study.spec)
    latency = record.metrics["latency_ms"]
    assert found.values == (latency.value,)
    assert latency.relative_half_width is not None
    assert found.variances[0] == pytest.approx((latency.relative_half_width / 1.96) ** 2)
    assert [margin is not None and margin > 0 for margin in found.margins] == [
        name in record.violations for name in ("error<=0.001", "p99_ms<=6")
    ]
    assert found.failed is None


def test_what_differs_from_run_to_run_makes_the_first_objective_less_sure() -> None:
    study = _study(objectives=["latency_ms", "throughput"])
    alone = observation_of(study.trials[2], study.spec)
    believed = Beliefs(devices={"": DeviceBelief(Noise(0.06, 0.05, 6, 0.2))})
    noisy = observation_of(study.trials[2], study.spec, believed)
    assert noisy.variances[0] == pytest.approx(alone.variances[0] + 0.05**2)
    assert noisy.variances[1] == alone.variances[1]


def test_a_value_without_an_interval_is_trusted_as_values_usually_are() -> None:
    study = _study(objectives=["engine_bytes"])
    assert observation_of(study.trials[1], study.spec).variances == (USUAL_VARIANCE,)


def test_observation_is_corrected_for_drift() -> None:
    study = thorough_study(24, drift=0.5)
    change = drift(study)
    assert change is not None
    assert change.significant
    last = next(one for one in reversed(study.trials) if one.state == "feasible")
    (value,) = observation_of(last, study.spec, beliefs(study)).values or ()
    assert value < 0.8 * last.metrics["latency_ms"].value


def test_a_failure_has_its_stage_and_nothing_else() -> None:
    study = study_record(20, failing=0.5)
    record = next(one for one in study.trials if one.failure is not None)
    assert record.failure is not None
    found = observation_of(record, study.spec)
    assert (found.values, found.failed) == (None, record.failure.stage)


def test_internal_error_in_a_build_counts_as_failed_measurement() -> None:
    study = study_record(20, failing=0.5)
    record = next(one for one in study.trials if one.failure is not None)
    evaluation = replace(record.evaluation, failure=Failure("build", "internal", "KeyError"))
    assert observation_of(replace(record, evaluation=evaluation), study.spec).failed == "measure"


def test_reused_stages_have_no_seconds() -> None:
    study = _study()
    record = study.trials[1]
    assert record.engine is not None
    seconds = {"build": 3.0, "measure": 1.0}
    built = replace(record.evaluation, stage_seconds=seconds, engine=replace(record.engine, reused=False))
    reused = replace(built, engine=replace(record.engine, reused=True))
    assert observation_of(replace(record, evaluation=built), study.spec).seconds == seconds
    assert observation_of(replace(record, evaluation=reused), study.spec).seconds == {"measure": 1.0}
    assert observation_of(replace(record, evaluation=built, reused=True), study.spec).seconds == {}


def test_margins_are_logarithms_where_there_are_any() -> None:
    assert margin(0.02, 0.01, True) == pytest.approx(math.log(2))
    assert margin(60.0, 30.0, False) == pytest.approx(-math.log(2))
    assert margin(0.0, 0.01, True) == pytest.approx(-1.0)
    assert margin(0.5, 0.0, True) == pytest.approx(0.5)


def test_margin_of_a_share_near_one_uses_its_distance_from_one() -> None:
    assert margin(0.99, 0.999, False) == pytest.approx(math.log(10))
    assert margin(0.9999, 0.999, False) == pytest.approx(-math.log(10))
    assert margin(1.0, 0.999, False) < -5
    assert margin(1.5, 0.9, False) < 0


def test_a_metric_that_a_measured_trial_lacks_is_missed() -> None:
    study = _study()
    record = study.trials[2]
    metrics = {name: value for name, value in record.metrics.items() if name != "p99_ms"}
    assert observation_of(replace(record, metrics=metrics), study.spec).margins[1] == math.inf
    assert record.measurement is not None
    pruned = replace(record.evaluation, measurement=replace(record.measurement, pruned=True))
    cut_short = replace(record, metrics=metrics, evaluation=pruned)
    assert observation_of(cut_short, study.spec).margins[1] is None
