"""Uneven times show what else uses a GPU."""

import numpy as np
import pytest

from engines.core.results import Block
from engines.statistics.jitter import is_uneven, jitter


def _block(*latency_ms: float, enqueue_ms: float | None = None) -> Block:
    telemetry = {} if enqueue_ms is None else {"enqueue_ms": enqueue_ms}
    return Block(np.array(latency_ms), 0.1, 0.0, telemetry)


def _waiting(share: float, factor: float = 2.0, count: int = 100, enqueue_ms: float | None = None) -> Block:
    """A share of the inferences takes so many times as long, in no order."""
    waits = np.random.default_rng(0).permutation(count) < share * count
    return _block(*np.where(waits, factor, 1.0), enqueue_ms=enqueue_ms)


def test_jitter_is_the_90th_percentile_by_the_10th() -> None:
    assert jitter([_waiting(0.3)]) == pytest.approx(2.0)
    assert jitter([_waiting(0.05)]) == pytest.approx(1.0)


def test_slow_changes_are_not_jitter() -> None:
    drifting = _block(*np.linspace(1.0, 2.0, 200))
    assert jitter([drifting, _block(*[5.0] * 50)]) == pytest.approx(1.01, abs=0.01)


def test_few_fast_inferences_are_not_jitter() -> None:
    rows = [[1.0] * 5] * 9 + [[0.5, 1.0, 1.0, 1.0, 1.0]]
    assert jitter([_block(*np.concatenate(rows * 2))]) == pytest.approx(1.0)


def test_slow_engines_tell_it_in_many_short_blocks() -> None:
    even, waited = _block(*[7.0] * 5), _block(7.0, 7.0, 14.0, 7.0, 14.0)
    assert jitter([even] * 5) == 1.0
    assert jitter([waited] * 5) == pytest.approx(2.0)
    assert jitter([waited] * 4) is None


def test_a_measurement_is_uneven_beyond_one_and_a_half() -> None:
    assert is_uneven([_waiting(0.3, 1.55)] * 2) is True
    assert is_uneven([_waiting(0.3, 1.45)] * 2) is False
    assert is_uneven([_waiting(0.05)] * 2) is False


def test_engines_that_wait_for_their_launches_tell_nothing_of_the_gpu() -> None:
    assert is_uneven([_waiting(0.3, enqueue_ms=0.6)] * 3) is None
    assert is_uneven([_waiting(0.3, enqueue_ms=0.4)] * 3) is True
    assert is_uneven([_waiting(0.3, enqueue_ms=0.6), *[_waiting(0.3, enqueue_ms=0.1)] * 2]) is True


def test_few_inferences_tell_nothing() -> None:
    short = _block(1.0, 1.0, 2.0, 2.0)
    assert jitter([]) is None
    assert jitter([short] * 20) is None
    assert is_uneven([short] * 20) is None


def test_times_of_no_samples_are_not_an_error() -> None:
    assert is_uneven([_block(*[0.0] * 30)]) is not True
