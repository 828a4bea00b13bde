import math

import numpy as np
import pytest

from engines.statistics.estimates import Estimate, ratio
from studies.belief.noise import noise_of, widened


def runs(values: list[float], within: float) -> list[Estimate]:
    return [Estimate(value, value * (1 - within), value * (1 + within)) for value in values]


def drawn(spread: float, count: int, seed: int = 0) -> list[float]:
    return list(10 * np.exp(np.random.default_rng(seed).normal(0, spread, count)))


def test_noise_needs_three_runs() -> None:
    assert noise_of(runs([1.0, 1.1], 0.01)) is None
    assert noise_of(runs([1.0, 1.1, 0.0], 0.01)) is None


def test_the_spread_is_that_of_the_logarithms() -> None:
    found = noise_of(runs(drawn(0.03, 500), 0.001))
    assert found is not None
    assert found.spread == pytest.approx(0.03, rel=0.1)
    assert found.between == pytest.approx(found.spread, rel=0.01)


def test_between_run_noise_excludes_the_noise_within_blocks() -> None:
    # an interval of 3 % is a standard error of 1.5 %
    found = noise_of(runs(drawn(0.015, 500), 0.03))
    assert found is not None
    assert found.between < 0.005


def test_the_detectable_difference_is_found_in_about_19_of_20_pairs() -> None:
    random, spread, found = np.random.default_rng(1), 0.01, 0
    for _ in range(2000):
        noise = noise_of(runs(list(np.exp(random.normal(0, spread, 6))), 0.0))
        assert noise is not None
        difference = math.log1p(noise.detectable)
        left = random.normal(0, spread)
        right = random.normal(difference, spread)
        limit = 2.5706 * noise.spread * math.sqrt(2)
        found += right - left > limit
    assert 0.90 < found / 2000 < 0.99


def test_widening_adds_what_differs_from_run_to_run() -> None:
    noise = noise_of(runs(drawn(0.02, 6), 0.0001))
    assert noise is not None
    narrow = Estimate(5.0, 4.99, 5.01)
    wide = widened(narrow, noise)
    assert wide.value == 5.0
    assert wide.low is not None
    assert wide.high is not None
    assert math.log(wide.high / 5.0) == pytest.approx(2.5706 * noise.between, rel=0.01)
    assert wide.low * wide.high == pytest.approx(25.0)


def test_without_noise_or_interval_nothing_is_widened() -> None:
    assert widened(Estimate(5.0, 4.0, 6.0), None) == Estimate(5.0, 4.0, 6.0)
    assert widened(Estimate(5.0), noise_of(runs(drawn(0.02, 6), 0.01))) == Estimate(5.0)


def test_extreme_noise_gives_huge_intervals() -> None:
    noise = noise_of(runs([1e-6, 1.0, 1e6], 0.01))
    assert noise is not None
    wide = widened(Estimate(5.0, -1e6, 1e6), noise)
    assert wide.low is not None
    assert wide.high is not None
    assert 0 < wide.low < 0.01
    assert wide.high > 1000


def test_the_widened_intervals_of_two_equal_engines_exclude_each_other_in_one_of_twenty_cases() -> None:
    random, different = np.random.default_rng(2), 0
    for _ in range(2000):
        noise = noise_of(runs(list(np.exp(random.normal(0, 0.01, 6))), 0.001))
        pair = [widened(one, noise) for one in runs(list(np.exp(random.normal(0, 0.01, 2))), 0.001)]
        between = ratio(pair[0], pair[1])
        assert between.low is not None
        assert between.high is not None
        different += not between.low <= 1 <= between.high
    assert 0.03 < different / 2000 < 0.065
