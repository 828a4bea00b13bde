"""Trtexec's summary and warnings, held against numbers worked out by hand from its formulas."""

from collections.abc import Mapping

import numpy as np
import pytest

from engines.core.results import Block, Measurement
from engines.statistics import trtexec
from engines.statistics.trtexec import VERSIONS

HUNDRED = np.arange(1.0, 101.0)


def measurement(*blocks: Block, streams: int = 1) -> Measurement:
    return Measurement(blocks, 8, streams, warmup_seconds=0.2, warmup_runs=21, converged=False)


def block(seconds: float = 1.0, **parts: list[float]) -> Block:
    """A block of these parts; latencies are the sum of copies and computing."""
    arrays = {name: np.array(values) for name, values in parts.items()}
    timed = [arrays[name] for name in ("h2d_ms", "compute_ms", "d2h_ms")]
    return Block(np.sum(timed, axis=0), seconds, 0.0, parts=arrays)


def four(**changes: list[float]) -> Block:
    parts = {
        "enqueue_ms": [0.1, 0.2, 0.3, 0.4],
        "h2d_ms": [0.5, 0.5, 0.5, 0.5],
        "compute_ms": [4.0, 1.0, 3.0, 2.0],
        "d2h_ms": [0.25, 0.25, 0.25, 0.25],
    }
    return block(0.02, **{**parts, **changes})


def test_percentiles_leave_out_the_slowest_in_single_precision() -> None:
    """1 - 0.99 is a little less than 0.01 there, so of a hundred the 99th percentile is the last."""
    assert trtexec.times(HUNDRED).percentiles == (90.0, 95.0, 100.0)


def test_times_are_as_trtexec_defines_them() -> None:
    found = trtexec.times(np.array([4.0, 1.0, 3.0, 2.0]))
    assert (found.minimum, found.maximum, found.mean, found.median) == (1.0, 4.0, 2.5, 2.5)
    assert found.percentiles == (4.0, 4.0, 4.0)
    # the population's deviation, the root of 5 / 4, by the mean
    assert found.variation == pytest.approx(44.72136)


def test_the_median_of_an_odd_number_is_the_middle_one() -> None:
    assert trtexec.times(np.array([9.0, 1.0, 2.0])).median == 2.0


def test_a_part_that_takes_no_time_varies_without_end() -> None:
    assert trtexec.times(np.zeros(3)).variation == np.inf


def test_throughput_counts_queries_and_not_samples_by_the_walltime() -> None:
    found = trtexec.summary(measurement(four()))
    assert (found.queries, found.walltime, found.throughput) == (4, 0.02, 200.0)


def test_the_compute_time_in_all_is_the_mean_times_the_queries() -> None:
    assert trtexec.summary(measurement(four())).compute_walltime == pytest.approx(0.010)


def test_blocks_are_pooled_and_their_spans_added() -> None:
    found = trtexec.summary(measurement(four(), four()))
    assert (found.queries, found.walltime) == (8, 0.04)
    assert found.parts["compute_ms"].mean == 2.5


def test_the_summary_has_trtexecs_names_and_form() -> None:
    assert trtexec.summary_lines(trtexec.summary(measurement(four()))) == [
        "=== Performance summary ===",
        "Throughput: 200 qps",
        "Latency: min = 1.75 ms, max = 4.75 ms, mean = 3.25 ms, median = 3.25 ms, "
        "percentile(90%) = 4.75 ms, percentile(95%) = 4.75 ms, percentile(99%) = 4.75 ms",
        "Enqueue Time: min = 0.1 ms, max = 0.4 ms, mean = 0.25 ms, median = 0.25 ms, "
        "percentile(90%) = 0.4 ms, percentile(95%) = 0.4 ms, percentile(99%) = 0.4 ms",
        "H2D Latency: min = 0.5 ms, max = 0.5 ms, mean = 0.5 ms, median = 0.5 ms, "
        "percentile(90%) = 0.5 ms, percentile(95%) = 0.5 ms, percentile(99%) = 0.5 ms",
        "GPU Compute Time: min = 1 ms, max = 4 ms, mean = 2.5 ms, median = 2.5 ms, "
        "percentile(90%) = 4 ms, percentile(95%) = 4 ms, percentile(99%) = 4 ms",
        "D2H Latency: min = 0.25 ms, max = 0.25 ms, mean = 0.25 ms, median = 0.25 ms, "
        "percentile(90%) = 0.25 ms, percentile(95%) = 0.25 ms, percentile(99%) = 0.25 ms",
        "Total Host Walltime: 0.02 s",
        "Total GPU Compute Time: 0.01 s",
    ]


def test_numbers_have_the_six_digits_of_a_cpp_stream() -> None:
    found = trtexec.summary(measurement(Block(np.full(1_294_770, 2 / 3), 0.01, 0.0)))
    throughput, latency = trtexec.summary_lines(found)[1:3]
    assert throughput == "Throughput: 1.29477e+08 qps"
    assert latency.startswith("Latency: min = 0.666667 ms, ")


def test_what_cannot_be_told_apart_is_left_out() -> None:
    lines = trtexec.summary_lines(trtexec.summary(measurement(Block(HUNDRED, 10.0, 0.0))))
    assert [line.partition(":")[0] for line in lines[1:]] == ["Throughput", "Latency", "Total Host Walltime"]


def test_the_prolog_says_how_much_was_dropped_and_kept() -> None:
    policy = trtexec.policy(VERSIONS[10], streams=1)
    found = measurement(four())
    assert trtexec.prolog_lines(trtexec.summary(found), found.warmup_runs, policy) == [
        "Warmup completed 21 queries over 200 ms",
        "Timing trace has 4 queries over 0.02 s",
    ]


STEADY = {"compute_ms": [1.0, 1.0, 1.0, 1.0]}
LIMITS: list[tuple[Mapping[str, list[float]], str]] = [
    ({"enqueue_ms": [0.8] * 4}, ""),
    ({"enqueue_ms": [0.81] * 4}, "Enqueue Time"),
    ({"h2d_ms": [0.999] * 4}, ""),
    ({"h2d_ms": [1.0] * 4}, "host-to-device transfers for the inputs"),
    ({"d2h_ms": [0.999] * 4}, ""),
    ({"d2h_ms": [1.0] * 4}, "device-to-host transfers for the outputs"),
    # variations of 2.4 and 2.6 %
    ({"compute_ms": [0.976, 1.024, 0.976, 1.024]}, ""),
    ({"compute_ms": [0.974, 1.026, 0.974, 1.026]}, "unstable, with coefficient of variance = 2.6%."),
]


@pytest.mark.parametrize(("change", "said"), LIMITS)
def test_warnings_begin_beyond_their_limits(change: Mapping[str, list[float]], said: str) -> None:
    found = trtexec.summary(measurement(four(**{**STEADY, **change})))
    lines = trtexec.warning_lines(found, VERSIONS[10], streams=1)
    assert len(lines) == (2 if said else 0)
    assert all(said in line for line in lines[:1])


def test_medians_decide_what_it_is_bound_by() -> None:
    one_outlier = {**STEADY, "enqueue_ms": [0.1, 0.1, 0.1, 900.0]}
    assert trtexec.warning_lines(trtexec.summary(measurement(four(**one_outlier))), VERSIONS[11], 1) == []


def test_several_streams_are_warned_of() -> None:
    found = trtexec.summary(measurement(four(**STEADY), streams=2))
    (line,) = trtexec.warning_lines(found, VERSIONS[10], streams=2)
    assert line.startswith("* Multiple inference streams are used. Latencies may not be accurate")


def test_advice_is_that_of_the_version() -> None:
    bound = {"enqueue_ms": [9.0] * 4, "h2d_ms": [9.0] * 4, "compute_ms": [0.5, 1.0, 1.0, 1.5]}
    found = trtexec.summary(measurement(four(**bound)))
    assert trtexec.warning_lines(found, VERSIONS[10], 1) == [
        "* Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be "
        "under-utilized.",
        "  If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may increase the "
        "throughput.",
        "* Throughput may be bound by host-to-device transfers for the inputs rather than GPU Compute and "
        "the GPU may be under-utilized.",
        "  Add --noDataTransfers flag to disable data transfers.",
        "* GPU compute time is unstable, with coefficient of variance = 35.3553%.",
        "  If not already in use, locking GPU clock frequency or adding --useSpinWait may improve "
        "the stability.",
    ]
    assert trtexec.warning_lines(found, VERSIONS[11], 1)[1::2] == [
        "  If you are using --noCudaGraph, removing it may increase throughput.",
        "  Consider removing --includeDataTransfers to disable data transfers and potentially increase "
        "throughput.",
        "  If not already in use, locking GPU clock frequency may improve the stability.",
    ]


def test_defaults_flipped_in_version_11() -> None:
    of = {major: (of.transfers, of.spin_wait, of.cuda_graph) for major, of in VERSIONS.items()}
    assert of == {10: (True, False, False), 11: (False, True, True)}


def test_the_policy_is_that_of_the_version() -> None:
    found = trtexec.policy(VERSIONS[10], streams=3)
    assert (found.warmup_seconds, found.minimum_seconds, found.maximum_seconds) == (0.2, 3.0, 3.0)
    assert (found.transfers, found.spin_wait, found.parts) == (True, False, True)
    # ten on every stream
    assert found.minimum_inferences == 30
