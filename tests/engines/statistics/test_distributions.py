import math

import numpy as np
import pytest

from engines.statistics import distributions


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    # Fisher and Yates, Statistical Tables, table III, and the NIST handbook, 1.3.6.7.2
    [
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 4, 2.776),
        (0.975, 30, 2.042),
        (0.95, 10, 1.812),
        (0.995, 10, 3.169),
        (0.999, 5, 5.893),
        (0.9995, 2, 31.599),
        (0.9995, 5, 6.869),
        (0.9995, 30, 3.646),
        (0.9995, 120, 3.373),
    ],
)
def test_student_t_matches_published_tables(probability: float, freedom: int, quantile: float) -> None:
    assert distributions.student_t(probability, freedom) == pytest.approx(quantile, abs=6e-4)
    assert distributions.student_t(1 - probability, freedom) == pytest.approx(-quantile, abs=6e-4)


def test_median_of_student_t_is_zero() -> None:
    assert distributions.student_t(0.5, 7) == pytest.approx(0.0, abs=1e-12)
    assert distributions.student_t(0.975, 9) == pytest.approx(2.262, abs=6e-4)


@pytest.mark.parametrize(
    ("successes", "trials", "rate", "probability"),
    # tables of the cumulative binomial distribution, as in Mood, Graybill and Boes
    [(3, 10, 0.5, 0.1719), (2, 20, 0.1, 0.6769), (4, 20, 0.3, 0.2375), (0, 5, 0.1, 0.5905), (5, 5, 0.9, 1.0)],
)
def test_binomial_cdf_matches_published_tables(
    successes: int, trials: int, rate: float, probability: float
) -> None:
    assert distributions.binomial_cdf(successes, trials, rate) == pytest.approx(probability, abs=6e-5)


@pytest.mark.parametrize("rate", [0.01, 0.5, 0.99])
def test_binomial_cdf_is_the_sum_of_its_terms(rate: float) -> None:
    for successes in (-1, 0, 1, 99, 100, 199, 200):
        expected = _binomial_cdf(successes, 200, rate)
        assert distributions.binomial_cdf(successes, 200, rate) == pytest.approx(expected, abs=1e-12)


def test_clopper_pearson_upper_matches_published_tables() -> None:
    # 1 - 0.05 ** (1 / 10); and one of ten as tabled for one-sided limits by Clopper and Pearson's method
    assert distributions.clopper_pearson_upper(0, 10, 0.95) == pytest.approx(0.2589, abs=6e-5)
    assert distributions.clopper_pearson_upper(1, 10, 0.95) == pytest.approx(0.3942, abs=6e-5)
    assert distributions.clopper_pearson_upper(10, 10, 0.95) == 1.0


@pytest.mark.parametrize("effect", [1.0, 1.7, 30.0])
def test_highest_rate_is_where_so_few_events_become_unlikely(effect: float) -> None:
    for events, samples in ((0, 299), (3, 1000), (40, 5000)):
        highest = distributions.clopper_pearson_upper(events, samples, 0.95, effect)
        chance = distributions.binomial_cdf(events / effect, samples / effect, highest)
        assert chance == pytest.approx(0.05, abs=1e-9)


def test_normal_cdf_is_within_its_stated_error() -> None:
    values = np.linspace(-6, 6, 1001)
    exact = np.array([(1 + math.erf(value / math.sqrt(2))) / 2 for value in values])
    assert distributions.normal_cdf(values) == pytest.approx(exact, abs=1.5e-7)


def _binomial_cdf(most: int, trials: int, rate: float) -> float:
    chances = (
        math.comb(trials, hits) * rate**hits * (1 - rate) ** (trials - hits) for hits in range(most + 1)
    )
    return math.fsum(chances)
