import math

import numpy as np
import pytest

from engines.core.values import Samples
from engines.statistics.deadlines import certify, upper_bound


def _with_misses(samples: int, misses: int) -> Samples:
    latencies = np.full(samples, 10.0)
    latencies[:misses] = 50.0
    return np.random.default_rng(samples).permutation(latencies)


@pytest.mark.parametrize(
    ("percentile", "misses", "samples"),
    # S. S. Wilks, Determination of sample sizes for setting tolerance limits (1941): the fewest samples for
    # one-sided limits at 95 % confidence, by the number of the largest that are left out
    [(99, 0, 299), (99, 1, 473), (99, 2, 628), (99, 3, 773), (95, 0, 59), (95, 1, 93), (95, 2, 124)],
)
def test_a_certificate_needs_as_many_samples_as_wilks_tabled(
    percentile: float, misses: int, samples: int
) -> None:
    assert certify(_with_misses(samples, misses), 33.0, percentile).holds
    assert not certify(_with_misses(samples - 1, misses), 33.0, percentile).holds
    assert not certify(_with_misses(samples, misses + 1), 33.0, percentile).holds


def test_certificate_states_samples_misses_and_confidence() -> None:
    certificate = certify(_with_misses(1000, 3), 33.0, 99, 0.9)
    assert (certificate.deadline_ms, certificate.percentile, certificate.confidence) == (33.0, 99, 0.9)
    assert (certificate.samples, certificate.misses, certificate.holds) == (1000, 3, True)
    at_least_that_lucky = math.fsum(
        math.comb(1000, misses) * rate**misses * (1 - rate) ** (1000 - misses)
        for rate in [certificate.miss_rate_high]
        for misses in range(4)
    )
    assert at_least_that_lucky == pytest.approx(0.1, abs=1e-9)


def test_a_latency_at_the_deadline_is_in_time_and_no_number_is_late() -> None:
    assert certify(np.full(299, 33.0), 33.0).misses == 0
    assert certify(np.array([33.1, math.nan, 1.0]), 33.0).misses == 2


def test_nothing_is_certified_without_samples() -> None:
    certificate = certify(np.array([]), 33.0)
    assert not certificate.holds
    assert certificate.miss_rate_high == 1.0
    assert upper_bound(np.array([])) is None


def test_the_bound_of_few_samples_is_their_largest_or_unknown() -> None:
    latencies = np.random.default_rng(0).permutation(np.arange(1.0, 300.0))
    assert upper_bound(latencies) == 299.0
    assert upper_bound(latencies[:298]) is None


def test_a_bound_within_the_deadline_says_the_same_as_the_certificate() -> None:
    random = np.random.default_rng(1)
    seen = set()
    for _ in range(1000):
        # rounded, so that many are equal and deadlines fall on samples
        latencies = np.round(random.gamma(2.0, 3.0, int(random.integers(0, 2000))), 1)
        percentile = float(random.choice([50.0, 90.0, 95.0, 99.0, 99.9]))
        confidence, effect = float(random.uniform(0.5, 0.999)), float(random.choice([1.0, 1.3, 4.0]))
        near = float(np.percentile(latencies, percentile)) if len(latencies) else 1.0
        deadline = round(near + float(random.normal(0.0, 1.0)), 1)
        certificate = certify(latencies, deadline, percentile, confidence, effect)
        bound = upper_bound(latencies, percentile, confidence, effect)
        assert certificate.holds == (bound is not None and bound <= deadline)
        assert certificate.holds == (certificate.miss_rate_high <= 1 - percentile / 100)
        seen.add(certificate.holds)
    assert seen == {True, False}


def test_a_bound_is_too_low_in_at_most_5_of_100_measurements() -> None:
    random = np.random.default_rng(2)
    truth = -math.log(0.01)
    bounds = [upper_bound(random.exponential(1.0, 500)) for _ in range(1000)]
    too_low = sum(bound is not None and bound < truth for bound in bounds)
    assert too_low / 1000 <= 0.065


def test_correlated_samples_certify_less() -> None:
    assert certify(_with_misses(600, 0), 33.0, design_effect=2.0).holds
    assert not certify(_with_misses(500, 0), 33.0, design_effect=2.0).holds
    assert certify(_with_misses(500, 0), 33.0, design_effect=2.0).miss_rate_high == pytest.approx(
        1 - 0.05 ** (1 / 250)
    )
