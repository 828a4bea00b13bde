import math

import numpy as np
import pytest

from engines.core.values import Bar
from engines.statistics.futility import guarded_spread, should_prune

BAR = Bar(1.0, 0.002)


def test_clearly_slower_candidate_is_pruned_from_the_third_block_on() -> None:
    assert not should_prune([2.0, 2.01], BAR, "minimize")
    assert should_prune([2.0, 2.01, 1.99], BAR, "minimize")


def test_more_is_worse_or_better_as_the_direction_says() -> None:
    assert not should_prune([2.0, 2.01, 1.99], BAR, "maximize")
    assert should_prune([0.5, 0.501, 0.499], BAR, "maximize")


def test_noise_from_run_to_run_prunes_nothing() -> None:
    steady = [1.01, 1.0101, 1.0099]
    assert should_prune(steady, Bar(1.0, 0.0), "minimize")
    assert not should_prune(steady, Bar(1.0, 0.005), "minimize")


def test_noise_between_blocks_prunes_nothing() -> None:
    assert not should_prune([1.0, 1.1, 1.2], BAR, "minimize")


def test_values_without_a_logarithm_prune_nothing() -> None:
    assert not should_prune([0.0, 2.0, 2.0], BAR, "minimize")


def test_an_equal_candidate_is_dropped_less_than_once_in_1000_races() -> None:
    random = np.random.default_rng(4)
    dropped = 0
    for _ in range(2000):
        runs = random.normal(0.0, 0.003, 2)
        values = np.exp(runs[0] + random.normal(0.0, 0.005, 20)).tolist()
        bar = Bar(math.exp(runs[1]), 0.003)
        dropped += any(should_prune(values[:blocks], bar, "minimize") for blocks in range(3, 21))
    assert dropped <= 2


def test_a_spread_seen_in_few_runs_is_enlarged() -> None:
    # t(0.9995) is 4.781 for 9 degrees of freedom, 3.291 for many
    assert guarded_spread(0.01, 9) == pytest.approx(0.01 * 4.781 / 3.291, rel=1e-3)
    assert guarded_spread(0.01, 10**6) == pytest.approx(0.01, rel=1e-4)
