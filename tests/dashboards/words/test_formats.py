import math
from datetime import UTC, datetime

import pytest

from dashboards.words import formats
from dashboards.words.formats import MISSING, TIMES
from engines.statistics.estimates import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2.3456789, "2.346"),
        (0.0123456, "0.01235"),
        (1234.56, "1,235"),
        (123456.0, "123,456"),
        (1.23456e-5, "1.235e-5"),
        (1.5e9, "1.5e9"),
        (-2.5, "-2.500"),
        (None, MISSING),
        (math.nan, MISSING),
        (math.inf, MISSING),
    ],
)
def test_numbers_have_four_significant_digits(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("found", "unit", "text"),
    [
        (Estimate(2.31234, 2.29, 2.33), "ms", "2.312 ± 0.020 ms"),
        (Estimate(2.31234, 2.3121, 2.3125), "ms", "2.3123 ± 0.0002 ms"),
        (Estimate(1234.5, 1200.0, 1269.0), "samples/s", "1,234 ± 34 samples/s"),
        (Estimate(2.5), "ms", "2.500 ms"),
        (Estimate(2.5, 2.5, 2.5), "ms", "2.500 ms"),
        (Estimate(2.5, 2.5 - 4e-16, 2.5 + 4e-16), "ms", "2.500 ms"),
        (Estimate(1e-12, 0.9e-12, 1.1e-12), "", "1e-12 ± 1e-13"),
        (Estimate(2.5, -math.inf, math.inf), "ms", "2.500 ms"),
        (Estimate(math.nan, 1, 2), "ms", MISSING),
        (None, "ms", MISSING),
    ],
)
def test_estimates_show_half_their_interval_to_the_digits_it_needs(
    found: Estimate | None, unit: str, text: str
) -> None:
    assert formats.estimate(found, unit) == text


def test_metrics_have_their_own_unit() -> None:
    assert formats.metric("engine_bytes", Estimate(3 * 2**20)) == "3.00 MiB"
    assert formats.metric("build_seconds", Estimate(0.5)) == "0.500 s"
    assert formats.metric("error", Estimate(0.0)) == "0"
    assert formats.metric("of a later version", Estimate(2.0)) == "2.000"


def test_a_metric_is_said_in_words_with_its_unit() -> None:
    assert formats.about("latency_ms") == "median time of one inference (ms)"
    assert formats.about("error") == "relative L2 error of the worst output"
    assert formats.about("of a later version") == "of a later version"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.0123 s"), (119.0, "119 s"), (125.0, "2 min 5 s"), (7300.0, "2 h 1 min"), (None, MISSING)],
)
def test_durations_are_in_the_unit_that_reads_best(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 bytes"), (2048, "2.00 KiB"), (5 * 2**40, "5,120 GiB"), (None, MISSING)]
)
def test_sizes_are_binary(count: float | None, text: str) -> None:
    assert formats.size(count) == text


def test_ratios_are_factors_with_their_interval() -> None:
    assert formats.times(1.4234) == f"1.42{TIMES}"
    assert formats.interval(Estimate(1.4, 1.3, 1.5)) == f"95 % interval 1.30{TIMES} to 1.50{TIMES}"
    assert formats.interval(Estimate(1.4)) == ""


def test_factors_have_the_digits_that_tell_the_ends_of_their_interval_apart() -> None:
    close = Estimate(1.00412, 1.00214, 1.00613)
    assert formats.factor(close) == f"1.004{TIMES}"
    assert formats.bounds(close) == f"1.002{TIMES} to 1.006{TIMES}"
    assert formats.factor(Estimate(12.34, 11.0, 13.0)) == f"12.3{TIMES}"
    assert formats.factor(Estimate(0.2799, 0.2779, 0.2819)) == f"0.280{TIMES}"
    assert formats.factor(Estimate(1.4234)) == f"1.42{TIMES}"
    assert formats.bounds(Estimate(1.4)) == ""


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Estimate(0.999, 0.996, 1.002), "-0.1 % (-0.4 to 0.2)"),
        (Estimate(1.0301, 1.0196, 1.0409), "3.0 % (2.0 to 4.1)"),
        (Estimate(1.0301, 1.0299, 1.0303), "3.01 % (2.99 to 3.03)"),
        (Estimate(1.5), "50.0 %"),
    ],
)
def test_changes_are_in_per_cent_with_the_digits_of_their_interval(ratio: Estimate, text: str) -> None:
    assert formats.change(ratio) == text


def test_small_shares_keep_two_digits() -> None:
    assert [formats.share(part) for part in (0.0013, 0.0123, 0.2, 1e-15)] == [
        "0.13 %",
        "1.2 %",
        "20 %",
        "0 %",
    ]


def test_trials_are_listed_as_in_a_sentence() -> None:
    assert formats.trials([7]) == "trial 7"
    assert formats.trials([7, 9]) == "trials 7 and 9"
    assert formats.trials([1, 2, 3]) == "trials 1, 2 and 3"
    assert formats.trials(range(9)) == "trials 0, 1, 2, 3, 4, 5, 6, 7, ..."


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.004, "under 1 %"), (0.414, "41 %"), (0.996, "over 99 %"), (1.0, "100 %")],
)
def test_shares_are_whole_percents(share: float, text: str) -> None:
    assert formats.percent(share) == text


def test_settings_are_spelled_as_on_the_command_line() -> None:
    assert [formats.setting(value) for value in (True, 4, "int8", None)] == ["true", "4", "int8", MISSING]


def test_moments_name_their_time_zone() -> None:
    assert formats.moment(datetime(2025, 11, 21, 7, 5, tzinfo=UTC)) == "2025-11-21 07:05 UTC"


def test_axis_numbers_are_round() -> None:
    assert [formats.power(value) for value in (1e-5, 0.001, 1.0, 1000.0, 1e6)] == [
        "1e-5",
        "0.001",
        "1",
        "1000",
        "1e6",
    ]


def test_counts_agree_with_their_noun() -> None:
    assert [formats.plural(count, "trial") for count in (1, 2, 1500)] == [
        "1 trial",
        "2 trials",
        "1,500 trials",
    ]
    assert [formats.plural(count, "miss", "misses") for count in (1, 0)] == ["1 miss", "0 misses"]


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert formats.shortened("abcdef", 4) == "abc…"
    assert formats.shortened("abcd", 4) == "abcd"
