"""Every entry of the table of metrics is asked everything that is read of one."""

from dataclasses import fields, replace
from typing import get_args

import numpy as np
import pytest

from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import Candidate, Case, Policy
from engines.statistics.estimates import Direction, Estimate
from engines.statistics.metrics import (
    DEFAULT_ERROR,
    DEFAULT_OBJECTIVE,
    DIMENSIONLESS,
    METRICS,
    P99_BOUND,
    Adjective,
    Metric,
    Source,
    accuracy_metrics,
    is_timed,
    names_where,
    over_cases,
)

# a unit that is none of these is to be looked at by whoever adds it: can `formats.quantity` write it?
UNITS = {DIMENSIONLESS, "ms", "s", "samples/s", "mJ", "W", "MHz", "dB", "bytes"}
TELEMETRY = {"energy_mj": 200_000.0, "power_w": 400.0, "clock_mhz": 1980.0}
BLOCKS = tuple(Block(np.full(300, 2.0 + 0.01 * number), 0.6, 0.0, TELEMETRY) for number in range(6))
MEASUREMENT = Measurement(
    BLOCKS, 4, 1, 0.1, 3, converged=True, memory_bytes=1, device_memory_bytes=2, cold=BLOCKS
)
FULL = Evaluation(
    Candidate(),
    engine=Artifact("e", 2048, 0.0, reused=False, facts={"build_seconds": 1.5}),
    accuracy=Accuracy((OutputError("y", 0.02, 0.5, 0.25, 0.9, 0.75),), 4),
    measurement=MEASUREMENT,
)
NOTHING = Evaluation(Candidate(), failure=Failure("graph", "refused", "no"))

every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


@every_metric
def test_it_says_what_it_is(metric: Metric) -> None:
    assert METRICS[metric.name] is metric
    assert metric.name.isidentifier()
    assert metric.name == metric.name.lower()
    assert metric.unit in UNITS
    assert metric.about[0].islower() or metric.about[0].isdigit()
    assert not metric.about.endswith(".")
    assert metric.better in get_args(Direction)
    assert metric.source in get_args(Source)
    assert metric.source in {field.name for field in fields(Evaluation)}


@every_metric
def test_it_is_derived_from_an_evaluation_that_has_its_part_and_else_unknown(metric: Metric) -> None:
    found = metric.of(FULL)
    assert isinstance(found, Estimate)
    assert np.isfinite(found.value)
    assert metric.of(NOTHING) is None


@every_metric
def test_its_adjective_fits_what_is_better(metric: Metric) -> None:
    assert metric.adjective in get_args(Adjective)
    if metric.adjective != "fast":
        assert (metric.adjective == "small") == (metric.better == "minimize")


@every_metric
def test_only_timed_metrics_have_an_interval(metric: Metric) -> None:
    found = metric.of(FULL)
    assert found is not None
    assert (found.low is not None) == metric.timed
    assert not (metric.timed and metric.exact)
    assert metric.timed <= (metric.source == "measurement")
    assert is_timed(metric.name) == metric.timed


@every_metric
def test_measures_of_accuracy_are_exact(metric: Metric) -> None:
    assert (metric.source == "accuracy") <= metric.exact


@every_metric
def test_what_it_requires_is_an_option_of_the_policy_that_is_off_by_default(metric: Metric) -> None:
    if metric.requires is not None:
        assert getattr(Policy(), metric.requires) is False


@every_metric
def test_it_is_raced_where_the_timed_blocks_alone_show_it(metric: Metric) -> None:
    alone = metric.of(replace(FULL, measurement=replace(MEASUREMENT, cold=())))
    assert metric.raced == (metric.timed and alone is not None)


def test_the_metrics_that_others_name_are_there() -> None:
    assert METRICS[DEFAULT_OBJECTIVE].timed
    assert METRICS[DEFAULT_ERROR].source == "accuracy"
    assert METRICS[P99_BOUND].requires == "certify"


def test_measures_of_accuracy_begin_with_the_one_that_is_limited_by_default() -> None:
    assert accuracy_metrics()[0] == DEFAULT_ERROR


def test_a_query_answers_in_the_order_of_the_table() -> None:
    assert names_where(lambda _: True) == tuple(METRICS)
    assert names_where(lambda metric: metric.concurrent) == ("throughput",)
    assert not is_timed("unheard_of")


def test_a_metric_that_a_case_does_not_have_is_that_of_no_mix() -> None:
    measurement = Measurement((Block(np.array([1.0, 2.0]), 1.0, 0.0),), 1, 1, 0.1, 1, converged=True)
    one = Case({}, 1)
    assert over_cases(METRICS["cold_ms"], measurement, (one,)) is None
    assert over_cases(METRICS["cold_ms"], measurement, (one, one)) is None
    assert over_cases(METRICS["mean_ms"], measurement, (one,)) == Estimate(1.5)
