import math
from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Block, Measurement
from engines.statistics import estimates
from engines.statistics.estimates import Estimate
from engines.statistics.metrics import METRICS, names_where


def _measurement(*blocks: list[float], batch: int = 1, span: float = 1.0) -> Measurement:
    made = tuple(Block(np.array(block), span, 0.0) for block in blocks)
    return Measurement(made, batch, 1, 0.1, 1, converged=True)


def test_a_median_is_the_middle_or_the_mean_of_the_middle_two() -> None:
    assert estimates.median(np.array([3.0, 1.0, 2.0])) == 2.0
    assert estimates.median(np.array([4.0, 1.0, 2.0, 3.0])) == 2.5


@pytest.mark.parametrize(
    ("percent", "expected"),
    # trtexec: element max(n - 1 - int((1 - p / 100) * n), 0) of the ascending samples, in single precision,
    # in which (1 - 0.9f) * 100 is a little more than 10 and (1 - 0.99f) * 100 a little less than 1
    [(90, 90.0), (95, 95.0), (99, 100.0), (50, 50.0), (100, 100.0)],
)
def test_a_percentile_is_the_element_that_trtexec_takes(percent: float, expected: float) -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert estimates.percentile(percent)(samples) == expected


def test_a_percentile_of_one_sample_is_that_sample() -> None:
    assert estimates.percentile(99)(np.array([7.0])) == 7.0


def test_the_value_is_of_all_samples_and_the_interval_of_the_blocks() -> None:
    estimate = estimates.latency(_measurement([1.0, 1.0], [2.0, 2.0], [3.0, 3.0]), estimates.mean)
    assert estimate.value == pytest.approx(2.0)
    # three block means 1, 2, 3: standard deviation 1, t for 2 degrees of freedom 4.30265
    assert estimate.high == pytest.approx(2.0 + 4.30265 / np.sqrt(3), rel=1e-4)
    assert estimate.low == pytest.approx(2.0 - 4.30265 / np.sqrt(3), rel=1e-4)


def test_one_block_gives_no_interval() -> None:
    assert estimates.latency(_measurement([1.0, 2.0]), estimates.median) == Estimate(1.5)
    assert Estimate(1.5).relative_half_width is None


def test_throughput_counts_samples_over_the_span_of_all_blocks() -> None:
    estimate = estimates.throughput(_measurement([1.0] * 10, [1.0] * 30, batch=4, span=2.0))
    assert estimate.value == pytest.approx(40 * 4 / 4.0)


def test_the_interval_covers_the_truth_in_about_95_of_100_measurements() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        blocks = [list(np.exp(random.normal(0.0, 0.02, 50)) + random.normal(0, 0.01)) for _ in range(10)]
        estimate = estimates.latency(_measurement(*blocks), estimates.median)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 1.0 <= estimate.high
    assert 0.92 <= covered / 400 <= 0.98


def test_neighbouring_blocks_that_are_alike_are_merged_down_to_five_batches() -> None:
    climbing = estimates.latency(_measurement(*[[float(value)] for value in range(1, 11)]), estimates.mean)
    # pairs have the means 1.5, 3.5, 5.5, 7.5, 9.5: variance 10, t for 4 degrees of freedom 2.77645
    assert climbing.high == pytest.approx(5.5 + 2.77645 * np.sqrt(10 / 5), rel=1e-5)


def test_blocks_that_are_not_alike_stay_apart() -> None:
    alternating = estimates.latency(_measurement(*[[1.0], [2.0]] * 5), estimates.mean)
    # ten blocks: variance 2.5 / 9, t for 9 degrees of freedom 2.26216
    assert alternating.high == pytest.approx(1.5 + 2.26216 * np.sqrt(2.5 / 9 / 10), rel=1e-5)


def test_merging_makes_intervals_of_correlated_blocks_more_honest() -> None:
    random = np.random.default_rng(2)
    covered = {30: 0, 9: 0}
    for _ in range(300):
        level, levels = 0.0, []
        for noise in random.normal(0.0, 1.0, 50):
            level = 0.5 * level + noise
            levels.append([100.0 + level])
        for count in covered:  # nine are too few to be merged
            estimate = estimates.latency(_measurement(*levels[20 : 20 + count]), estimates.mean)
            assert estimate.low is not None
            assert estimate.high is not None
            covered[count] += estimate.low <= 100.0 <= estimate.high
    assert covered[30] / 300 > 0.85
    assert covered[9] / 300 < 0.8


def test_equal_blocks_have_an_interval_without_width() -> None:
    assert estimates.latency(_measurement(*[[2.0]] * 12), estimates.mean) == Estimate(2.0, 2.0, 2.0)


def test_disturbed_blocks_do_not_count_while_five_others_remain() -> None:
    calm = _measurement(*[[1.0]] * 5).blocks
    throttled = Block(np.array([9.0, 9.0]), 1.0, 0.0, disturbed="throttled: hw_slowdown")
    assert estimates.counted((*calm, throttled)) == list(calm)
    assert estimates.counted((*calm[:4], throttled)) == (*calm[:4], throttled)
    measurement = replace(_measurement(), blocks=(*calm, throttled))
    assert estimates.sample_count(measurement) == 5
    for name in ("latency_ms", "mean_ms", "p99_ms", "throughput"):
        estimate = METRICS[name].derive(measurement)
        assert estimate is not None
        assert estimate.value == 1.0


def test_the_coefficient_of_variation_is_of_the_population() -> None:
    assert estimates.coefficient_of_variation(_measurement([1.0, 3.0], [1.0, 3.0])) == pytest.approx(0.5)


def test_a_percentile_lies_between_the_order_statistics_that_the_binomial_distribution_gives() -> None:
    # each block holds the same values, so that the samples count as independent
    measurement = _measurement(*[list(np.arange(1.0, 101.0))] * 10)
    estimate = estimates.latency_percentile(measurement, 90)
    chances = [_binomial_cdf(rank, 1000, 0.9) for rank in range(870, 930)]
    below = 870 + max(at for at, chance in enumerate(chances) if chance <= 0.025)
    above = 870 + min(at for at, chance in enumerate(chances) if chance >= 0.975)
    ascending = np.sort(np.tile(np.arange(1.0, 101.0), 10))
    assert estimate == Estimate(90.0, ascending[below], ascending[above])


def _binomial_cdf(most: int, trials: int, rate: float) -> float:
    chances = (
        math.comb(trials, hits) * rate**hits * (1 - rate) ** (trials - hits) for hits in range(most + 1)
    )
    return math.fsum(chances)


def test_too_few_samples_for_the_end_of_a_percentile_give_no_interval() -> None:
    def p99(samples: int) -> Estimate:
        # both blocks hold the same values, so that the samples count as independent
        half = list(np.linspace(1.0, 2.0, samples // 2))
        return estimates.latency_percentile(_measurement(half, half), 99)

    assert p99(366).high is None
    assert p99(366).low is None
    assert p99(368).high == 2.0
    assert p99(368).low is not None


def test_one_block_gives_a_percentile_no_interval() -> None:
    assert estimates.latency_percentile(_measurement([1.0] * 1000), 90) == Estimate(1.0)


def test_correlated_samples_widen_the_interval_of_a_percentile() -> None:
    values = np.random.default_rng(3).permutation(np.linspace(1.0, 2.0, 5000))
    mixed = estimates.latency_percentile(_measurement(*values.reshape(20, 250).tolist()), 90)
    grouped = np.sort(values.reshape(500, 10), axis=0).T.reshape(20, 250)
    alike = estimates.latency_percentile(_measurement(*grouped.tolist()), 90)
    assert alike.value == mixed.value
    assert mixed.relative_half_width is not None
    assert alike.relative_half_width is None or alike.relative_half_width > 2 * mixed.relative_half_width


def test_the_design_effect_is_the_variance_between_batches_over_that_of_independent_samples() -> None:
    constant = [np.full(10, float(value)) for value in range(1, 11)]
    # half of the batches below the median: variance 10 / 9 * 250 / 100**2 over 0.25 / 100, and t for 9
    # degrees of freedom 2.26216 over that for 99, 1.98422, squared
    expected = (10 / 9 * 250 / 100**2) / (0.25 / 100) * (2.26216 / 1.98422) ** 2
    assert estimates.design_effect(constant, 50) == pytest.approx(expected, rel=1e-4)


def test_the_design_effect_is_never_less_than_1() -> None:
    same = np.arange(1.0, 101.0)
    assert estimates.design_effect([same, same, same], 90) == 1.0
    assert estimates.design_effect([same], 90) == 1.0
    assert estimates.design_effect([np.ones(5), np.ones(5)], 90) == 1.0


def _told(telemetry: dict[str, float], blocks: int = 6, span: float = 0.1) -> Measurement:
    made = tuple(Block(np.ones(100), span, 0.0, {**telemetry, "at": float(one)}) for one in range(blocks))
    return Measurement(made, 1, 1, 0.1, 1, converged=True)


def test_energy_is_that_of_all_blocks_by_their_inferences() -> None:
    found = METRICS["energy_mj"].derive(_told({"energy_mj": 3000.0}))
    assert found == Estimate(30.0, 30.0, 30.0)


def test_energy_is_unknown_without_a_counter_or_over_too_short_a_time() -> None:
    of = METRICS["energy_mj"].derive
    assert of(_told({})) is None
    assert of(_told({"energy_mj": 3000.0}, blocks=4)) is None
    known = _told({"energy_mj": 3000.0})
    assert of(replace(known, blocks=(*known.blocks, Block(np.ones(100), 0.1, 0.0)))) is None


def test_power_and_clock_are_means_over_the_blocks_that_tell() -> None:
    measurement = _told({"power_w": 300.0, "clock_mhz": 1500.0})
    silent = replace(measurement, blocks=(*measurement.blocks, Block(np.ones(100), 0.1, 0.0)))
    assert METRICS["power_w"].derive(silent) == Estimate(300.0, 300.0, 300.0)
    assert METRICS["clock_mhz"].derive(measurement) == Estimate(1500.0, 1500.0, 1500.0)
    assert METRICS["power_w"].derive(_told({})) is None


def test_the_cold_latency_is_the_median_of_the_cold_blocks() -> None:
    measurement = _measurement([1.0], [1.0])
    assert METRICS["cold_ms"].derive(measurement) is None
    cold = replace(measurement, cold=_measurement([2.0, 3.0, 7.0], [3.0]).blocks)
    found = METRICS["cold_ms"].derive(cold)
    assert found is not None
    assert found.value == 3.0


def test_more_is_better_of_throughput_and_clocks_alone() -> None:
    found = names_where(lambda metric: metric.timed and metric.better == "maximize")
    assert set(found) == {"throughput", "clock_mhz"}


def test_a_ratio_widens_by_both_intervals() -> None:
    ratio = estimates.ratio(Estimate(2.0, 1.94, 2.06), Estimate(1.0, 0.96, 1.04))
    assert ratio.value == 2.0
    assert ratio.low == pytest.approx(2.0 * np.exp(-0.05))
    assert ratio.high == pytest.approx(2.0 * np.exp(0.05))


def test_a_ratio_of_exact_values_has_no_interval() -> None:
    assert estimates.ratio(Estimate(3.0), Estimate(2.0, 1.9, 2.1)) == Estimate(1.5)


def test_one_estimate_alone_is_given_back_as_it_is() -> None:
    alone = Estimate(1.1, 1.0, 1.3)
    assert estimates.weighted([alone], [0.3]) is alone


def test_estimates_are_averaged_by_weight_and_their_intervals_combined() -> None:
    found = estimates.weighted([Estimate(1.0, 0.9, 1.1), Estimate(5.0, 4.6, 5.4)], [3, 1])
    assert found.value == pytest.approx(2.0)
    half_width = np.hypot(0.75 * 0.1, 0.25 * 0.4)
    assert found.low == pytest.approx(2.0 - half_width)
    assert found.high == pytest.approx(2.0 + half_width)


def test_rates_are_averaged_by_their_reciprocals() -> None:
    found = estimates.weighted([Estimate(10.0, 9.0, 11.0), Estimate(40.0, 40.0, 40.0)], [1, 1], harmonic=True)
    assert found.value == pytest.approx(16.0)
    assert found.high == pytest.approx(16.0 + 0.5 * 1.6**2 * 1.0)


def test_without_an_interval_of_each_there_is_none() -> None:
    assert estimates.weighted([Estimate(1.0), Estimate(3.0, 2.0, 4.0)], [1, 1]) == Estimate(2.0)
