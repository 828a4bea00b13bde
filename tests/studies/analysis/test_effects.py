import itertools
from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Evaluation
from engines.core.values import Candidate, Settings
from studies.analysis.effects import ChoiceEffect, DimensionEffect, Effects, effects
from tests.records import FACTORS, FAILURES, SPACE, candidate, expected_latency, failed, measured, study_of

BASE = candidate("fp32", "all", 2, True)


def exact(one: Candidate, latency_ms: float | None = None, error: float = 0.0) -> Evaluation:
    latency = expected_latency(one) if latency_ms is None else latency_ms
    return measured(one, np.random.default_rng(0), latency_ms=latency, error=error, blocks=2, noise=0.0)


def everything() -> list[Candidate]:
    points = itertools.product(*(dimension.choices for dimension in SPACE[:4]))
    drawn = [candidate(str(a), str(b), int(c), bool(d)) for a, b, c, d in points]
    return sorted(drawn, key=lambda one: one != BASE)


def dimension(found: Effects, name: str) -> DimensionEffect:
    return next(entry for entry in found.dimensions if entry.name == name)


def choice(found: Effects, name: str, value: object) -> ChoiceEffect:
    return next(entry for entry in dimension(found, name).choices if entry.value == value)


def test_the_factors_of_an_additive_landscape_are_found() -> None:
    found = effects(study_of(*(exact(one) for one in everything())))
    for (name, value), factor in FACTORS.items():
        assert choice(found, name, value).ratio.value == pytest.approx(factor)
    assert found.explained == pytest.approx(1.0)


def test_noisy_factors_lie_within_their_intervals_mostly() -> None:
    random = np.random.default_rng(3)
    noisy = [exact(one, expected_latency(one) * float(random.lognormal(0, 0.1))) for one in everything()]
    found = effects(study_of(*noisy))
    inside = 0
    for (name, value), factor in FACTORS.items():
        ratio = choice(found, name, value).ratio
        assert ratio.low is not None
        assert ratio.high is not None
        assert ratio.low < ratio.value < ratio.high < 2.5
        inside += ratio.low < factor < ratio.high
    assert inside >= len(FACTORS) - 1


def test_importances_sum_to_one_and_the_most_important_comes_first() -> None:
    found = effects(study_of(*(exact(one) for one in everything())))
    shares = [entry.importance for entry in found.dimensions]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)
    assert found.dimensions[0].name == "precision"
    logs = np.log([1.0, 0.8, 0.55])
    others = [np.log([1.0, 1.6, 1.2]), np.log([1.0, 1.5, 0.85, 1.1]), np.log([1.0, 1.05])]
    total = np.var(logs) + sum(np.var(other) for other in others)
    assert dimension(found, "precision").importance == pytest.approx(np.var(logs) / total)


def test_the_baselines_choice_is_the_reference_and_is_exactly_one() -> None:
    found = effects(study_of(*(exact(one) for one in everything())))
    threads = dimension(found, "intra_op_threads")
    assert threads.reference == 2
    assert threads.choices[0] == ChoiceEffect(2, threads.choices[0].ratio, 18)
    assert (threads.choices[0].ratio.value, threads.choices[0].ratio.low) == (1.0, None)


def test_infeasible_trials_count_and_failed_ones_do_not() -> None:
    fast = candidate("int8", "all", 2, True)
    found = effects(study_of(exact(BASE), exact(fast, error=0.9), failed(fast, *FAILURES[0])))
    assert found.trials == 2
    assert choice(found, "precision", "int8").ratio.value == pytest.approx(0.55)


def test_a_candidate_answered_from_storage_is_not_counted_twice() -> None:
    study = study_of(exact(BASE), exact(candidate("int8", "all", 2, True)), exact(BASE))
    assert effects(study).trials == 2


def test_a_dimension_of_one_choice_has_no_importance() -> None:
    found = effects(study_of(*(exact(one) for one in everything())))
    streams = dimension(found, "streams")
    assert (streams.importance, len(streams.choices)) == (0.0, 1)


def test_choices_always_made_together_share_their_effect_without_interval() -> None:
    pairs = [("fp32", "all"), ("int8", "none")]
    random = np.random.default_rng(0)
    trials = [
        exact(candidate(precision, optimization, threads, True), float(random.uniform(1, 2)))
        for threads in (2, 4, 8)
        for precision, optimization in pairs
    ]
    found = effects(study_of(*trials))
    left, right = choice(found, "precision", "int8"), choice(found, "optimization", "none")
    assert left.ratio.value == pytest.approx(right.ratio.value)
    assert (left.separable, right.separable) == (False, False)
    assert left.ratio.low is None
    assert choice(found, "intra_op_threads", 4).separable
    assert choice(found, "intra_op_threads", 4).ratio.low is not None


def test_as_many_terms_as_trials_leaves_no_interval_and_nothing_explained() -> None:
    found = effects(study_of(exact(BASE), exact(candidate("int8", "all", 2, True))))
    assert found.explained is None
    assert choice(found, "precision", "int8").ratio.low is None
    assert dimension(found, "precision").importance == pytest.approx(1.0)


@pytest.mark.parametrize("trials", [0, 1])
def test_effects_need_more_than_a_few_trials(trials: int) -> None:
    found = effects(study_of(*[exact(BASE)] * trials))
    assert found.trials == trials
    assert all(entry.importance == 0 for entry in found.dimensions)
    assert found.explained is None


def test_a_constant_objective_has_no_important_dimension() -> None:
    found = effects(study_of(*(exact(one, latency_ms=2.0) for one in everything())))
    assert all(entry.importance == 0 for entry in found.dimensions)
    assert all(made.ratio.value == 1 for entry in found.dimensions for made in entry.choices)


def test_explained_share_of_pure_noise_is_near_zero() -> None:
    random = np.random.default_rng(1)
    found = effects(study_of(*(exact(one, float(random.lognormal(0, 0.2))) for one in everything())))
    assert found.explained is not None
    assert 0 <= found.explained < 0.2


def test_a_baseline_outside_the_space_is_a_choice_too() -> None:
    odd = candidate("bf16", "all", 2, True)
    study = study_of(exact(odd, 4.0), *(exact(one) for one in everything()))
    assert dimension(effects(study), "precision").reference == "bf16"


def test_a_setting_that_a_candidate_does_not_name_is_the_dimensions_default() -> None:
    bare = Candidate(Settings(precision="int8"))
    found = effects(study_of(exact(BASE), exact(bare, 1.0)))
    assert [made.value for made in dimension(found, "intra_op_threads").choices] == [2]


def test_a_failed_baseline_still_gives_the_reference() -> None:
    study = study_of(failed(BASE, *FAILURES[0]), *(exact(one) for one in everything()))
    assert dimension(effects(study), "precision").reference == "fp32"


def test_trials_whose_objective_is_zero_are_left_out() -> None:
    study = study_of(
        exact(BASE, error=0.0), exact(candidate("fp16", "all", 2, True), error=0.1), objectives=["error"]
    )
    assert effects(study).trials == 1


def test_a_few_trials_of_many_settings_give_finite_numbers() -> None:
    random = np.random.default_rng(5)
    found = effects(study_of(*(exact(one, float(random.lognormal(0, 3))) for one in everything()[:10])))
    for entry in found.dimensions:
        for made in entry.choices:
            bounds = [bound for bound in (made.ratio.low, made.ratio.high) if bound is not None]
            assert np.isfinite([made.ratio.value, *bounds]).all()


def test_a_trial_that_shares_anothers_measurement_is_not_another_observation() -> None:
    random = np.random.default_rng(0)
    plain, other = candidate("fp32", "all", 2, True), candidate("fp32", "basic", 2, True)
    study = study_of(measured(plain, random), measured(other, random))
    twin = replace(study.trials[1], same_as=0)
    assert effects(study).trials == 2
    assert effects(replace(study, trials=(study.trials[0], twin))).trials == 1
