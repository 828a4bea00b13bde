"""Uneven times show what else uses a GPU."""

import numpy as np
import pytest

from engines.jitter import is_uneven, jitter
from engines.results import Block, Measurement


def _block(*latency_ms: float) -> Block:
    return Block(np.array(latency_ms), 0.1, 0.0)


def _waiting(share: float, count: int = 100) -> Block:
    """A share of the inferences takes twice as long, in no order."""
    return _block(*np.where(np.random.default_rng(0).permutation(count) < share * count, 2.0, 1.0))


def _measurement(*blocks: Block, streams: int = 1) -> Measurement:
    return Measurement(blocks, 1, streams, 0.2, 50, converged=True)


def test_jitter_is_the_slowest_tenth_by_the_fastest() -> None:
    assert jitter([_waiting(0.3)]) == pytest.approx(2.0)
    assert jitter([_waiting(0.05)]) == pytest.approx(1.0)


def test_what_changes_slowly_is_no_jitter() -> None:
    drifting = _block(*np.linspace(1.0, 2.0, 200))
    assert jitter([drifting, _block(*[5.0] * 50)]) == pytest.approx(1.01, abs=0.01)


def test_slow_engines_tell_it_in_many_short_blocks() -> None:
    even, waited = _block(*[7.0] * 5), _block(7.0, 7.0, 14.0, 7.0, 14.0)
    assert jitter([even] * 5) == 1.0
    assert jitter([waited] * 5) == pytest.approx(2.0)


def test_a_measurement_is_uneven_where_many_inferences_wait() -> None:
    assert is_uneven(_measurement(_waiting(0.3), _waiting(0.3))) is True
    assert is_uneven(_measurement(_waiting(0.05), _waiting(0.05))) is False


def test_few_inferences_and_several_streams_tell_nothing() -> None:
    few = _block(1.0, 1.0, 2.0, 2.0)
    assert jitter([]) is None
    assert jitter([few] * 20) is None
    assert jitter([_waiting(0.3, 24)]) is None
    assert is_uneven(_measurement(few, few)) is None
    assert is_uneven(_measurement(_waiting(0.3), streams=2)) is None
