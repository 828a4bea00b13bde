import numpy as np
import pytest

from engines import statistics
from engines.statistics import Estimate
from engines.values import Block, Measurement


def _measurement(*blocks: list[float], batch: int = 1, span: float = 1.0) -> Measurement:
    made = tuple(Block(np.array(block), span, 0.0) for block in blocks)
    return Measurement(made, batch, 1, 0.1, 1, converged=True)


def test_a_median_is_the_middle_or_the_mean_of_the_middle_two() -> None:
    assert statistics.median(np.array([3.0, 1.0, 2.0])) == 2.0
    assert statistics.median(np.array([4.0, 1.0, 2.0, 3.0])) == 2.5


@pytest.mark.parametrize(
    ("percent", "expected"),
    # trtexec: element max(n - 1 - int((1 - p / 100) * n), 0) of the ascending samples
    [(90, 90.0), (95, 95.0), (99, 99.0), (50, 50.0), (100, 100.0)],
)
def test_a_percentile_is_the_element_that_trtexec_takes(percent: float, expected: float) -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert abs(statistics.percentile(percent)(samples) - expected) <= 1.0


def test_a_percentile_of_one_sample_is_that_sample() -> None:
    assert statistics.percentile(99)(np.array([7.0])) == 7.0


def test_the_value_is_of_all_samples_and_the_interval_of_the_blocks() -> None:
    estimate = statistics.latency(_measurement([1.0, 1.0], [2.0, 2.0], [3.0, 3.0]), statistics.mean)
    assert estimate.value == pytest.approx(2.0)
    # three block means 1, 2, 3: standard deviation 1, t for 2 degrees of freedom 4.30265
    assert estimate.high == pytest.approx(2.0 + 4.30265 / np.sqrt(3), rel=1e-4)
    assert estimate.low == pytest.approx(2.0 - 4.30265 / np.sqrt(3), rel=1e-4)


def test_one_block_gives_no_interval() -> None:
    assert statistics.latency(_measurement([1.0, 2.0]), statistics.median) == Estimate(1.5)
    assert Estimate(1.5).relative_half_width is None


def test_throughput_counts_samples_over_the_span_of_all_blocks() -> None:
    estimate = statistics.throughput(_measurement([1.0] * 10, [1.0] * 30, batch=4, span=2.0))
    assert estimate.value == pytest.approx(40 * 4 / 4.0)


def test_the_interval_covers_the_truth_in_about_95_of_100_measurements() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        blocks = [list(np.exp(random.normal(0.0, 0.02, 50)) + random.normal(0, 0.01)) for _ in range(10)]
        estimate = statistics.latency(_measurement(*blocks), statistics.median)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 1.0 <= estimate.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("freedom", "quantile"),  # scipy.stats.t.ppf(0.975, freedom)
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (30, 2.04227), (1000, 1.96234)],
)
def test_student_t_is_within_its_stated_error(freedom: int, quantile: float) -> None:
    assert statistics.student_t_975(freedom) == pytest.approx(quantile, rel=2e-3)


def test_a_ratio_widens_by_both_intervals() -> None:
    ratio = statistics.ratio(Estimate(2.0, 1.94, 2.06), Estimate(1.0, 0.96, 1.04))
    assert ratio.value == 2.0
    assert ratio.low == pytest.approx(2.0 * np.exp(-0.05))
    assert ratio.high == pytest.approx(2.0 * np.exp(0.05))


def test_a_ratio_of_exact_values_has_no_interval() -> None:
    assert statistics.ratio(Estimate(3.0), Estimate(2.0, 1.9, 2.1)) == Estimate(1.5)
