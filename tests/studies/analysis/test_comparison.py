from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Accuracy, Artifact, Evaluation, OutputError
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import (
    baseline,
    best,
    best_so_far,
    comparison,
    objective_value,
    pareto_front,
    spread,
)
from studies.core.records import Objective, StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import close_study, with_gap

BASE = candidate("fp32", "all", 2, True)
OTHER = candidate("int8", "all", 4, True)
LATENCY = Objective("latency_ms", "minimize")


def made(latency_ms: float, error: float = 0.0, seed: int = 0, blocks: int = 6) -> Evaluation:
    random = np.random.default_rng(seed)
    return measured(OTHER, random, latency_ms=latency_ms, error=error, blocks=blocks)


def reference(latency_ms: float, error: float = 0.0, blocks: int = 6) -> Evaluation:
    return replace(made(latency_ms, error, seed=9, blocks=blocks), candidate=BASE)


def sized(evaluation: Evaluation, size_bytes: int) -> Evaluation:
    return replace(evaluation, engine=Artifact("e" * 32, size_bytes, 1.0, False))


def failure() -> Evaluation:
    return failed(OTHER, *FAILURES[0])


def test_a_study_without_trials_has_neither_baseline_nor_best() -> None:
    study = study_record(0)
    assert (baseline(study), best(study), pareto_front(study), best_so_far(study)) == (None, None, (), ())
    assert comparison(study).verdict == "nothing feasible"


def test_the_best_is_the_fastest_feasible_trial_not_the_fastest() -> None:
    study = study_of(reference(3.0), made(1.0, error=0.5), made(2.0), failure())
    found = best(study)
    assert found is not None
    assert found.number == 2


def test_the_best_of_a_maximized_objective_is_the_largest() -> None:
    study = study_of(reference(3.0), made(1.0), made(2.0), objectives=["throughput"])
    found = comparison(study)
    assert found.best is study.trials[1]
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(3.0, rel=0.05)
    assert found.verdict == "faster"


def test_the_first_of_equally_good_trials_is_the_best() -> None:
    study = study_of(reference(3.0), made(2.0), made(2.0))
    assert best(study) is study.trials[1]


def test_no_trial_is_best_when_none_is_feasible() -> None:
    study = study_of(reference(3.0, error=1.0), made(1.0, error=0.5), failure())
    assert best(study) is None
    assert comparison(study).verdict == "nothing feasible"
    assert comparison(study).baseline is study.trials[0]


def test_a_clear_gain_is_faster_with_an_interval_around_the_ratio() -> None:
    found = comparison(study_of(reference(3.0), made(2.0)))
    assert found.verdict == "faster"
    assert found.speedup is not None
    assert found.speedup.low is not None
    assert found.speedup.high is not None
    assert 1.4 < found.speedup.low < found.speedup.value < found.speedup.high < 1.6


def test_a_gain_within_the_noise_is_the_same() -> None:
    found = comparison(study_of(reference(2.0), made(1.9999)))
    assert found.speedup is not None
    assert found.verdict == "same"


def test_the_baseline_as_the_best_is_the_same_with_a_speedup_of_one() -> None:
    found = comparison(study_of(reference(2.0), made(3.0)))
    assert (found.verdict, found.speedup, found.best) == ("same", Estimate(1.0), found.baseline)


def test_repeat_of_the_baselines_candidate_is_the_same() -> None:
    found = comparison(study_of(reference(3.0), reference(2.0)))
    assert found.best is not found.baseline
    assert found.verdict == "same"


def test_best_that_is_slower_than_an_infeasible_baseline_is_called_slower() -> None:
    found = comparison(study_of(reference(1.0, error=0.5), made(2.0)))
    assert found.verdict == "slower"
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(0.5, rel=0.05)


def test_a_gain_without_an_interval_is_unproven() -> None:
    found = comparison(study_of(reference(3.0, blocks=1), made(1.0, blocks=1)))
    assert found.verdict == "unproven"


def test_comparison_with_a_failed_baseline_has_no_ratio() -> None:
    found = comparison(study_of(replace(failure(), candidate=BASE), made(1.0)))
    assert (found.verdict, found.speedup) == ("no baseline", None)
    assert found.best is not None


def test_a_smaller_engine_is_better_without_an_interval() -> None:
    found = comparison(
        study_of(sized(reference(3.0), 1000), sized(made(3.0), 500), objectives=["engine_bytes"])
    )
    assert (found.verdict, found.speedup) == ("faster", Estimate(2.0))


def test_engines_of_equal_size_are_the_same() -> None:
    infeasible = sized(reference(3.0, error=1.0), 1000)
    found = comparison(study_of(infeasible, sized(made(3.0), 1000), objectives=["engine_bytes"]))
    assert found.best is not found.baseline
    assert found.verdict == "same"


def test_an_objective_of_zero_has_a_verdict_but_no_ratio() -> None:
    found = comparison(study_of(reference(3.0, error=0.001), made(3.0, error=0.0), objectives=["error"]))
    assert (found.verdict, found.speedup) == ("faster", None)


def test_non_finite_value_counts_as_missing() -> None:
    spoiled = replace(made(1.0), accuracy=Accuracy((OutputError("y", float("nan"), 0.0),), 1))
    study = study_of(reference(3.0), spoiled, objectives=["error"])
    assert objective_value(study.trials[1], study.spec.objectives[0]) is None
    assert best(study) is study.trials[0]


def test_pareto_front_has_trials_that_none_beats_in_both_objectives() -> None:
    study = study_of(
        sized(reference(3.0), 100),
        sized(made(2.0), 200),
        sized(made(2.5), 300),
        sized(made(1.0), 400),
        sized(made(0.5, error=0.5), 50),
        failure(),
        objectives=["latency_ms", "engine_bytes"],
    )
    assert [trial.number for trial in pareto_front(study)] == [3, 1, 0]


def test_equal_trials_share_the_front() -> None:
    study = study_of(
        sized(reference(3.0), 100), sized(reference(3.0), 100), objectives=["latency_ms", "engine_bytes"]
    )
    assert len(pareto_front(study)) == 2


def numbers(study: StudyRecord) -> list[int | None]:
    return [step.best.number if step.best else None for step in best_so_far(study)]


def test_the_best_so_far_only_improves_and_skips_failed_and_infeasible() -> None:
    study = study_of(failure(), made(3.0), made(1.0, error=0.5), made(2.0), made(2.5), failure())
    assert numbers(study) == [None, 1, 1, 3, 3, 3]


def test_elapsed_time_counts_from_the_start_of_the_first_trial_to_the_end_of_each() -> None:
    study = study_of(failure(), failure())
    assert [step.elapsed_seconds for step in best_so_far(study)] == pytest.approx([2.2, 12.2])


def test_a_spread_has_the_quantiles_of_all_blocks() -> None:
    study = study_of(reference(3.0))
    measurement = study.trials[0].measurement
    assert measurement is not None
    pooled = np.concatenate([block.latency_ms for block in measurement.blocks])
    found = spread(study.trials[0])
    assert found is not None
    assert found.samples == len(pooled)
    assert (found.low, found.median, found.high) == pytest.approx(np.quantile(pooled, [0.01, 0.5, 0.99]))
    assert found.first_quartile < found.median < found.third_quartile


def test_a_failed_trial_has_no_spread() -> None:
    assert spread(study_of(failure()).trials[0]) is None


def test_winner_of_finals_is_found_by_its_number() -> None:
    study = close_study((1.0, 0.9, 1.03))
    found, gapped = best(study), best(with_gap(study))
    assert found is not None
    assert gapped is not None
    assert (found.number, gapped.number) == (3, 6)
    assert gapped.evaluation is found.evaluation
