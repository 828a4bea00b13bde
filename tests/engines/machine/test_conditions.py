"""Checks become conditions, and the telemetry of timed blocks is judged."""

import numpy as np
import pytest

from engines.core.results import Block
from engines.machine.conditions import NOT_AVAILABLE, Check, Condition, Finding, examine, in_test


def _block(**telemetry: float) -> Block:
    return Block(np.ones(3), span_seconds=0.1, started_at=0.0, telemetry=telemetry)


def _verdicts(*blocks: Block, on_cpu: bool = False) -> dict[str, tuple[str, str]]:
    return {one.name: (one.verdict, one.found) for one in in_test(blocks, on_cpu)}


@pytest.mark.parametrize(
    ("finding", "condition"),
    [
        ((True, "on"), Condition("turbo", "noisy", "on", "Turn it off.")),
        ((False, "off"), Condition("turbo", "fine", "off")),
        ((None, "maybe"), Condition("turbo", "unknown", "maybe", "Turn it off.")),
    ],
)
def test_a_finding_is_a_verdict_with_advice_unless_it_is_fine(finding: Finding, condition: Condition) -> None:
    assert examine((Check("turbo", lambda: finding, "Turn it off."),), unavailable=()) == (condition,)


def test_unavailable_condition_is_unknown_and_bugs_are_raised() -> None:
    nothing: dict[str, Finding] = {}
    check = Check("turbo", lambda: nothing["on"], "Turn it off.")
    assert examine((check,), unavailable=(KeyError,)) == (Condition("turbo", "unknown", NOT_AVAILABLE),)
    with pytest.raises(KeyError):
        examine((check,), unavailable=(OSError,))


def test_constant_clocks_are_fine_and_changing_clocks_noisy() -> None:
    steady = _verdicts(_block(clock_mhz=1980.0), _block(clock_mhz=1970.0))
    moving = _verdicts(_block(clock_mhz=1980.0), _block(clock_mhz=1755.0))
    assert steady["clock under load"] == ("fine", "1,980 MHz in the test")
    assert moving["clock under load"] == ("noisy", "1,755 to 1,980 MHz in the test")


def test_throttled_blocks_are_counted_with_their_reasons() -> None:
    blocks = [_block(power_w=300.0)] * 7 + [_block(throttled_sw_power_cap=1.0)] * 2
    found = _verdicts(*blocks, _block(throttled_hw_slowdown=1.0))["throttling under load"]
    assert found == ("noisy", "in 3 of 10 timed blocks: hw_slowdown, sw_power_cap")
    assert _verdicts(*blocks[:7])["throttling under load"] == ("fine", "in none of 7 timed blocks")


def test_waiting_for_a_core_is_a_share_of_the_timed_blocks() -> None:
    much, little = (_verdicts(_block(waited_seconds=seconds), on_cpu=True) for seconds in (0.02, 0.001))
    assert much["waiting for a core"] == ("noisy", "20.0 % of the test")
    assert little["waiting for a core"] == ("fine", "1.0 % of the test")


def test_a_cpu_says_nothing_of_throttling_in_its_blocks() -> None:
    """A count of Linux does, over the whole test."""
    assert "throttling under load" not in _verdicts(_block(waited_seconds=0.001), on_cpu=True)


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("blocks", [(), (_block(),), (_block(), _block())])
def test_blocks_without_telemetry_say_nothing(blocks: tuple[Block, ...], *, on_cpu: bool) -> None:
    assert {verdict for verdict, _ in _verdicts(*blocks, on_cpu=on_cpu).values()} == {"unknown"}


def test_uneven_inferences_mean_that_something_else_uses_the_gpu() -> None:
    alone = Block(np.linspace(1.0, 1.02, 50), span_seconds=0.1, started_at=0.0)
    beside = Block(np.tile([1.0, 1.0, 2.0, 1.0, 2.0], 10), span_seconds=0.1, started_at=0.0)
    assert _verdicts(alone)["sharing under load"] == (
        "fine",
        "the 90th percentile of latencies is 1.00 times the 10th",
    )
    assert _verdicts(beside)["sharing under load"] == (
        "noisy",
        "the 90th percentile of latencies is 2.00 times the 10th",
    )
    assert _verdicts(_block(clock_mhz=1980.0))["sharing under load"][0] == "unknown"
    assert "sharing under load" not in _verdicts(beside, on_cpu=True)
