from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Block
from engines.core.values import Bar, Policy, Tensors
from engines.machine.telemetry import Reading
from engines.trials.sampling import (
    MINIMUM_BLOCKS,
    MOST_REPEATS,
    Meter,
    cold_blocks,
    measure,
    target_half_width,
    warm_up,
)

POLICY = Policy(
    warmup_seconds=0.3, minimum_seconds=1.0, maximum_seconds=4.0, block_seconds=0.1, target_half_width=0.02
)


class Clockwork:
    """A runner whose inferences take what `latency` says of the number of the block."""

    device_memory_bytes = None

    def __init__(self, latency: Callable[[int], float], streams: int = 1) -> None:
        self.streams = streams
        self.asked: list[float] = []
        self._latency = latency

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        raise NotImplementedError

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        self.asked.append(seconds)
        latency = self._latency(len(self.asked)) * (1.5 if cold else 1.0)
        count = max(1, round(seconds * 1e3 / latency)) * self.streams
        return Block(np.full(count, latency), max(seconds, latency / 1e3), 0.0)

    def close(self) -> None: ...


class Dial:
    """A probe that gives one reading after another, the last again and again."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)
        self.reads = 0

    def read(self) -> Reading:
        self.reads += 1
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


def meter_of(runner: Clockwork, policy: Policy = POLICY, batch: int = 1, *readings: Reading) -> Meter:
    return Meter(runner, policy, batch, Dial(*(readings or (Reading(0.0),))))


CALM = Reading(0.0, {"clock_mhz": 1980.0}, {"energy_mj": 0.0})
HOT = replace(CALM, throttled_by=("hw_thermal_slowdown",))


def test_a_steady_engine_is_warm_once_the_time_is_up() -> None:
    blocks = warm_up(meter_of(Clockwork(lambda _: 2.0)))
    assert 0.3 <= sum(block.span_seconds for block in blocks) <= 0.5


def test_an_engine_that_still_gets_faster_is_warmed_up_longer() -> None:
    blocks = warm_up(meter_of(Clockwork(lambda block: 10.0 / block if block < 9 else 1.0)))
    assert len(blocks) >= 10


def test_warming_up_ends_even_if_the_engine_never_settles() -> None:
    blocks = warm_up(meter_of(Clockwork(lambda block: 1.0 + block % 2)))
    assert sum(block.span_seconds for block in blocks) <= 5 * 0.3 + 0.2


def test_the_first_inference_is_a_block_of_its_own() -> None:
    runner = Clockwork(lambda _: 2.0)
    warm_up(meter_of(runner))
    assert runner.asked[0] == 0.0


def test_a_steady_engine_is_sampled_for_the_least_time() -> None:
    runner = Clockwork(lambda _: 2.0)
    measurement = measure(meter_of(runner, batch=4), [runner.block(0.1)])
    assert measurement.converged
    assert 1.0 <= sum(block.span_seconds for block in measurement.blocks) <= 1.2
    assert (measurement.batch, measurement.streams) == (4, 1)


def test_a_noisy_engine_is_sampled_until_the_time_is_up_and_marked() -> None:
    random = np.random.default_rng(0)
    runner = Clockwork(lambda _: float(random.uniform(1.0, 3.0)))
    measurement = measure(meter_of(runner, batch=1), [runner.block(0.1)])
    assert not measurement.converged
    assert sum(block.span_seconds for block in measurement.blocks) >= 4.0


def test_blocks_of_a_slow_engine_hold_several_inferences_and_there_are_enough_of_them() -> None:
    runner = Clockwork(lambda _: 100.0)
    measurement = measure(meter_of(runner, batch=1), [runner.block(0.1)])
    assert all(len(block.latency_ms) >= 5 for block in measurement.blocks)
    assert len(measurement.blocks) >= MINIMUM_BLOCKS


def test_even_an_inference_longer_than_the_time_has_an_interval() -> None:
    runner = Clockwork(lambda _: 9000.0)
    measurement = measure(meter_of(runner, batch=1), [runner.block(0.0)])
    assert len(measurement.blocks) == MINIMUM_BLOCKS


def test_warming_up_is_accounted_for() -> None:
    runner = Clockwork(lambda _: 2.0)
    warmup = warm_up(meter_of(runner))
    measurement = measure(meter_of(runner, batch=1), warmup)
    assert measurement.warmup_runs == sum(len(block.latency_ms) for block in warmup)
    assert measurement.warmup_seconds == sum(block.span_seconds for block in warmup)


def test_the_statistic_that_the_policy_names_is_what_must_be_known_well() -> None:
    # latencies differ between blocks, what is done in a second does not
    class Even(Clockwork):
        def block(self, seconds: float, *, cold: bool = False) -> Block:
            self.asked.append(seconds)
            return Block(np.full(100, 1.0 + len(self.asked) % 2), max(seconds, 0.1), 0.0)

    def converges(statistic: str) -> bool:
        runner = Even(lambda _: 1.0, streams=4)
        policy = replace(POLICY, statistic=statistic)
        return measure(meter_of(runner, policy), [runner.block(0.1)]).converged

    assert converges("throughput")
    assert not converges("latency_ms")


def test_sampling_goes_on_for_as_many_inferences_as_are_asked_for() -> None:
    runner = Clockwork(lambda _: 20.0)
    policy = replace(POLICY, minimum_inferences=600)
    measurement = measure(meter_of(runner, policy), [runner.block(0.1)])
    assert 600 <= sum(len(block.latency_ms) for block in measurement.blocks) < 620


def test_for_a_certificate_correlated_inferences_are_sampled_longer() -> None:
    def inferences(late: int) -> int:
        class Bursts(Clockwork):
            def block(self, seconds: float, *, cold: bool = False) -> Block:
                self.asked.append(seconds)
                several = late if len(self.asked) % 3 == 0 else 0
                return Block(np.array([9.0] * several + [2.0] * (100 - several)), 0.2, 0.0)

        policy = replace(POLICY, minimum_inferences=600, certify=True, maximum_seconds=1.0)
        measurement = measure(meter_of(Bursts(lambda _: 2.0), policy), [Bursts(lambda _: 2.0).block(0.1)])
        return sum(len(block.latency_ms) for block in measurement.blocks)

    assert inferences(late=0) == 600
    assert 600 < inferences(late=2) <= 6000


def test_what_is_clearly_behind_the_bar_is_measured_no_further_and_marked() -> None:
    random = np.random.default_rng(0)
    runner = Clockwork(lambda _: float(random.normal(2.0, 0.01)))
    measurement = measure(meter_of(runner), [runner.block(0.1)], Bar(1.0, 0.001))
    assert measurement.pruned
    assert not measurement.converged or len(measurement.blocks) < MINIMUM_BLOCKS
    assert 3 <= len(measurement.blocks) < MINIMUM_BLOCKS


@pytest.mark.parametrize("bar", [1.999, 2.0, 4.0])
def test_what_is_level_with_the_bar_or_better_is_measured_to_the_end(bar: float) -> None:
    random = np.random.default_rng(0)
    runner = Clockwork(lambda _: float(random.normal(2.0, 0.01)))
    measurement = measure(meter_of(runner), [runner.block(0.1)], Bar(bar, 0.001))
    assert not measurement.pruned
    assert len(measurement.blocks) >= MINIMUM_BLOCKS


def test_more_is_better_where_throughput_is_the_statistic() -> None:
    random = np.random.default_rng(0)
    runner = Clockwork(lambda _: float(random.normal(2.0, 0.01)))
    policy = replace(POLICY, statistic="throughput")
    assert measure(meter_of(runner, policy), [runner.block(0.1)], Bar(1000.0, 0.001)).pruned
    assert not measure(meter_of(runner, policy), [runner.block(0.1)], Bar(250.0, 0.001)).pruned


def test_the_reading_behind_a_block_is_the_one_before_the_next() -> None:
    runner = Clockwork(lambda _: 2.0)
    meter = meter_of(runner, POLICY, 1, CALM)
    measurement = measure(meter, [runner.block(0.1)])
    assert isinstance(meter.probe, Dial)
    assert meter.probe.reads == len(measurement.blocks) + 1
    assert all(block.telemetry["clock_mhz"] == 1980.0 for block in measurement.blocks)


def test_a_throttled_block_is_repeated_and_kept_apart() -> None:
    runner = Clockwork(lambda _: 2.0)
    measurement = measure(meter_of(runner, POLICY, 1, CALM, HOT, CALM), [runner.block(0.1)])
    assert [block.disturbed for block in measurement.discarded] == ["throttled: hw_thermal_slowdown"] * 2
    assert not any(block.disturbed for block in measurement.blocks)


def test_a_machine_that_is_throttled_all_the_time_is_measured_and_marked() -> None:
    runner = Clockwork(lambda _: 2.0)
    measurement = measure(meter_of(runner, POLICY, 1, HOT), [runner.block(0.1)])
    assert len(measurement.discarded) == MOST_REPEATS
    assert len(measurement.blocks) >= MINIMUM_BLOCKS
    assert all(block.disturbed for block in measurement.blocks)


def test_nothing_is_read_when_telemetry_is_off() -> None:
    runner = Clockwork(lambda _: 2.0)
    meter = meter_of(runner, replace(POLICY, telemetry=False), 1, HOT)
    assert not measure(meter, [runner.block(0.1)]).discarded
    assert isinstance(meter.probe, Dial)
    assert meter.probe.reads == 0


def test_a_clock_that_still_climbs_is_not_warm() -> None:
    climbing = [Reading(0.0, {"clock_mhz": 500.0 + 150.0 * step}) for step in range(10)]
    steady = warm_up(meter_of(Clockwork(lambda _: 2.0)))
    blocks = warm_up(meter_of(Clockwork(lambda _: 2.0), POLICY, 1, *climbing))
    assert len(blocks) > len(steady)


def test_cold_blocks_are_timed_only_when_asked_for_and_not_of_pruned_engines() -> None:
    runner = Clockwork(lambda _: 2.0)
    measurement = measure(meter_of(runner), [runner.block(0.1)])
    asked = meter_of(runner, replace(POLICY, cold=True))
    assert cold_blocks([meter_of(runner)], measurement) == ()
    assert cold_blocks([asked], replace(measurement, pruned=True)) == ()
    cold = cold_blocks([asked], measurement)
    assert len(cold) == MINIMUM_BLOCKS
    assert all((block.latency_ms == 3.0).all() for block in cold)


def test_a_gpu_is_to_be_known_better_than_a_cpu_unless_the_policy_says() -> None:
    assert target_half_width(Policy(), "gpu").target_half_width == 0.005
    assert target_half_width(Policy(), "cpu").target_half_width == 0.02
    assert target_half_width(Policy(target_half_width=0.1), "gpu").target_half_width == 0.1
