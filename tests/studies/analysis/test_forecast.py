"""How long the rest of a search takes, from made-up trials of known cost."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Artifact
from engines.core.values import Candidate, Settings
from studies.analysis.forecast import (
    SPREAD,
    START_SECONDS,
    Extent,
    Forecast,
    Seconds,
    extent_of,
    forecast,
    making_seconds,
    trial_seconds,
)
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.core.records import TrialRecord
from tests.records import failed, measured, record, study_spec

SPEC = study_spec()
EXTENT = extent_of(SPEC.space)
STAGES = {"graph": 1.0, "build": 100.0, "load": 2.0, "check": 1.0, "warm-up": 1.0, "measure": 6.0}


def _trial(
    number: int, candidate: Candidate = SPEC.baseline, stages: Mapping[str, float] = STAGES
) -> TrialRecord:
    made = measured(candidate, np.random.default_rng(number), samples=10)
    return record(SPEC, number, replace(made, stage_seconds=stages))


def _other(**settings: object) -> Candidate:
    changed = {**SPEC.baseline.settings, **settings}
    kinds = {one.name: one.kind for one in SPEC.space}
    graph, build, run = (
        Settings({name: value for name, value in changed.items() if kinds[name] == kind})  # type: ignore[misc]
        for kind in ("graph", "build", "run")
    )
    return Candidate(graph, build, run)


def _ahead(
    records: list[TrialRecord], trials: int, measurement_plan: MeasurementPlan = TRIALS_ALONE
) -> Forecast:
    found = forecast(SPEC, EXTENT, records, measurement_plan, trials)
    assert found is not None
    return found


def test_the_extent_counts_candidates_engines_and_graphs() -> None:
    assert Extent(candidates=72, engines=9, graphs=3) == EXTENT


def test_the_whole_space_needs_every_other_graph_and_engine_once() -> None:
    ahead = _ahead([_trial(0)], 72)
    assert ahead.trials == 71
    assert ahead.builds.expected == pytest.approx(2 * 1.0 + 8 * 100.0)
    assert ahead.measuring.expected == pytest.approx(71 * 10.0)
    assert ahead.total.expected == pytest.approx(ahead.builds.expected + 710.0)


def test_no_more_trials_are_counted_than_there_are_candidates() -> None:
    assert _ahead([_trial(0)], 1000) == _ahead([_trial(0)], 72)


def test_few_trials_need_fewer_engines_than_there_are() -> None:
    ahead = _ahead([_trial(0)], 5)
    assert 2 * 100.0 < ahead.builds.expected < 4 * 101.0
    assert ahead.builds.least < ahead.builds.expected < ahead.builds.most
    assert ahead.builds.least == 0.0, "seven others run the engine that there is"
    assert ahead.builds.most == pytest.approx(SPREAD * (4 * 100.0 + 2 * 1.0))


def test_forecast_assumes_that_a_search_keeps_reusing_engines() -> None:
    siblings = [
        _trial(number, _other(intra_op_threads=threads)) for number, threads in enumerate((2, 4, 8, 1))
    ]
    frugal, unknown = _ahead(siblings, 10), _ahead(siblings[:1], 7)
    assert frugal.trials == unknown.trials == 6
    assert frugal.builds.expected < 0.8 * unknown.builds.expected


def test_reused_results_cost_their_original_seconds() -> None:
    again = _trial(0, stages={**STAGES, "graph": 0.0, "build": 0.1})
    reused = replace(
        again.evaluation,
        graph=Artifact("g", 1, 0.0, True, {"build_seconds": 1.0}),
        engine=Artifact("e", 1, 0.0, True, {"build_seconds": 100.0}),
    )
    assert making_seconds(reused) == pytest.approx(101.0)
    assert trial_seconds(reused) == pytest.approx(111.0)
    assert (
        _ahead([replace(again, evaluation=reused, reused=True)], 20).builds == _ahead([_trial(0)], 20).builds
    )


def test_means_narrow_with_the_trials() -> None:
    records = [_trial(number) for number in range(4)]
    one, four = _ahead(records[:1], 50).measuring, _ahead(records, 53).measuring
    assert one.expected == pytest.approx(four.expected)
    assert one.most == pytest.approx(SPREAD * one.expected)
    assert four.most == pytest.approx(SPREAD**0.5 * four.expected)


def test_trials_that_ended_early_make_the_rest_shorter() -> None:
    short = {**STAGES, "measure": 1.0}
    both = _ahead([_trial(0), _trial(1, stages=short)], 12)
    assert both.measuring.expected == pytest.approx(10 * 7.5)


def test_the_self_test_and_the_anchors_are_counted() -> None:
    measurement_plan = replace(TRIALS_ALONE, self_test_runs=5, anchor_every=10)
    alone, watched = _ahead([_trial(0)], 41), _ahead([_trial(0)], 41, measurement_plan)
    assert watched.measuring.expected - alone.measuring.expected == pytest.approx((5 + 4) * 10.0)
    later = [_trial(number) for number in range(21)]
    assert _ahead(later, 41, measurement_plan).measuring.expected == pytest.approx((20 + 2) * 10.0)


def test_finals_include_loading_and_timing_of_every_finalist() -> None:
    measurement_plan = replace(TRIALS_ALONE, finalists=4, sessions=5, rounds=5)
    loading, block = START_SECONDS + 4.0, 6.0 / 6
    assert _ahead([_trial(0)], 20, measurement_plan).finals.expected == pytest.approx(
        9 * loading + 25 * 5 * block
    )
    assert _ahead([_trial(0)], 3, measurement_plan).finals.expected == pytest.approx(
        7 * loading + 25 * 3 * block
    )
    assert _ahead([_trial(0)], 1, measurement_plan).finals.expected == 0.0
    rebuilt = replace(measurement_plan, rebuilds=2)
    assert _ahead([_trial(0)], 20, rebuilt).finals.expected == pytest.approx(
        17 * loading + 8 * 101.0 + 25 * 13 * block
    )


def test_a_time_limit_cuts_each_of_the_three() -> None:
    measurement_plan = MeasurementPlan(sessions=5)
    whole = Forecast(40, Seconds(60, 20, 200), Seconds(40, 20, 200), Seconds(50, 10, 100))
    cut = whole.within(50.0, 80.0, measurement_plan)
    assert cut.trials == 20
    assert cut.searching == Seconds(50, 40, 50)
    assert cut.finals == Seconds(30, 10, 60), "three of five sessions are held in any case"
    assert whole.within(1000.0, 1000.0, measurement_plan) == whole


def test_forecast_is_none_before_the_first_measurement() -> None:
    broken = record(SPEC, 0, failed(SPEC.baseline, "build", "refused", "no"))
    assert forecast(SPEC, EXTENT, [], TRIALS_ALONE, 50) is None
    assert forecast(SPEC, EXTENT, [broken], TRIALS_ALONE, 50) is None


def test_a_baseline_that_failed_is_not_measured_again() -> None:
    broken = record(SPEC, 0, failed(SPEC.baseline, "build", "refused", "no"))
    ahead = _ahead([broken, _trial(1, _other(precision="fp16"))], 12, MeasurementPlan())
    assert ahead.finals.most == 0.0
    assert ahead.measuring.expected == pytest.approx(10 * (0.0 + 10.0) / 2)
