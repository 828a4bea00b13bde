import re
from dataclasses import replace

import numpy as np
import pytest

from dashboards.words import telemetry
from dashboards.words.telemetry import Range
from engines.core.results import Block, Measurement
from tests.records import study_record
from tests.repeats import THROTTLED, cut_short, throttled, with_measurement, with_telemetry


def block(**told: float) -> Block:
    return Block(np.array([1.0, 2.0]), 0.5, 0.0, told)


def measurement(*blocks: Block, **changes: object) -> Measurement:
    made = Measurement(blocks, 1, 1, 0.2, 50, converged=True)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_state_has_its_mean_and_its_ends_over_the_blocks_that_tell_it() -> None:
    found = telemetry.states([block(clock_mhz=1000.0), block(clock_mhz=1500.0), block()])
    assert found == {"clock_mhz": Range(1250.0, 1000.0, 1500.0)}


def test_reasons_for_throttling_have_their_share_of_the_blocks() -> None:
    blocks = [block(throttled_sw_power_cap=1.0), block(throttled_sw_power_cap=1.0), block(), block()]
    assert telemetry.throttled(blocks) == {"sw_power_cap": 0.5}
    assert telemetry.throttled([]) == {}


def test_waiting_time_is_divided_by_time_of_blocks_that_report_it() -> None:
    assert telemetry.waited([block(waited_seconds=0.1), block()]) == pytest.approx(0.2)
    assert telemetry.waited([block()]) is None


def test_measurement_and_discarded_blocks_are_described() -> None:
    calm = [block() for _ in range(6)]
    assert telemetry.how_measured(measurement(*calm)) == "6 blocks, converged"
    assert telemetry.how_measured(measurement(*calm, converged=False)) == "6 blocks, not converged"
    assert telemetry.how_measured(measurement(*calm, pruned=True)) == (
        "6 blocks, stopped early as clearly worse"
    )
    disturbed = measurement(*calm, throttled(block()), discarded=(throttled(block()), throttled(block())))
    assert telemetry.how_measured(disturbed) == (
        f"7 blocks, converged; 2 discarded ({THROTTLED}); 1 disturbed ({THROTTLED})"
    )


def test_the_facts_of_a_measurement_have_units_and_leave_out_what_is_not_known() -> None:
    told = telemetry.facts(
        measurement(
            *(block(clock_mhz=1500.0, temperature_c=60.0) for _ in range(5)),
            block(clock_mhz=1200.0, throttled_sw_power_cap=1.0, waited_seconds=0.005),
        )
    )
    assert told == {
        "samples": "12",
        "measured in": "6 blocks, converged",
        "clock": "1,450 MHz (1,200 to 1,500)",
        "temperature": "60 °C",
        "clocks held by": "sw_power_cap in 17 % of the blocks",
        "waited for a core": "1.0 % of the time",
    }


def test_jitter_needs_enough_inferences() -> None:
    waited = Block(np.tile([1.0, 1.0, 2.0, 1.0, 2.0], 4), 0.5, 0.0)
    told = telemetry.facts(measurement(waited, waited))
    assert told["jitter"] == "2.00 times from the 10th to the 90th percentile"


def test_marks_say_that_a_trial_was_reused_stopped_early_or_disturbed() -> None:
    study = with_telemetry(study_record(6, failing=0))
    trials = study.trials
    assert telemetry.marks_of(trials[0]) == ()
    assert telemetry.marks_of(trials[1]) == ("throttled",)
    assert telemetry.marks_of(trials[4]) == ()
    both = replace(with_measurement(study, trials[1], cut_short), reused=True)
    assert telemetry.marks_of(both) == ("reused", "stopped early")
    twin = replace(trials[4], same_as=1)
    assert telemetry.marks_of(twin) == ("same engine as trial 1",)


def test_a_failed_trial_has_no_marks() -> None:
    failed = study_record(6, failing=1.0).trials[1]
    assert telemetry.marks_of(failed) == ()
    assert not telemetry.is_pruned(failed)


def test_ranges_are_written_once_where_both_ends_are_the_same() -> None:
    assert telemetry.range_text("power_w", Range(300.2, 300.1, 300.4)) == "300 W"
    assert re.fullmatch(r"5\.00 W \(4\.00 to 6\.00\)", telemetry.range_text("power_w", Range(5, 4, 6)))
