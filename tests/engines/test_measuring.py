from collections.abc import Callable

import numpy as np

from engines.measuring import MINIMUM_BLOCKS, measure, warm_up
from engines.values import Block, Policy, Tensors

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

    def block(self, seconds: float) -> Block:
        self.asked.append(seconds)
        latency = self._latency(len(self.asked))
        count = max(1, round(seconds * 1e3 / latency)) * self.streams
        return Block(np.full(count, latency), max(seconds, latency / 1e3), 0.0)

    def close(self) -> None: ...


def test_a_steady_engine_is_warm_once_the_time_is_up() -> None:
    blocks = warm_up(Clockwork(lambda _: 2.0), POLICY)
    assert 0.3 <= sum(block.span_seconds for block in blocks) <= 0.5


def test_an_engine_that_still_gets_faster_is_warmed_up_longer() -> None:
    blocks = warm_up(Clockwork(lambda block: 10.0 / block if block < 9 else 1.0), POLICY)
    assert len(blocks) >= 10


def test_warming_up_ends_even_if_the_engine_never_settles() -> None:
    blocks = warm_up(Clockwork(lambda block: 1.0 + block % 2), POLICY)
    assert sum(block.span_seconds for block in blocks) <= 5 * 0.3 + 0.2


def test_the_first_inference_is_a_block_of_its_own() -> None:
    runner = Clockwork(lambda _: 2.0)
    warm_up(runner, POLICY)
    assert runner.asked[0] == 0.0


def test_a_steady_engine_is_sampled_for_the_least_time() -> None:
    runner = Clockwork(lambda _: 2.0)
    measurement = measure(runner, POLICY, [runner.block(0.1)], batch=4)
    assert measurement.converged
    assert 1.0 <= sum(block.span_seconds for block in measurement.blocks) <= 1.2
    assert (measurement.batch, measurement.streams) == (4, 1)


def test_a_noisy_engine_is_sampled_until_the_time_is_up_and_marked() -> None:
    random = np.random.default_rng(0)
    runner = Clockwork(lambda _: float(random.uniform(1.0, 3.0)))
    measurement = measure(runner, POLICY, [runner.block(0.1)], batch=1)
    assert not measurement.converged
    assert sum(block.span_seconds for block in measurement.blocks) >= 4.0


def test_blocks_of_a_slow_engine_hold_several_inferences_and_there_are_enough_of_them() -> None:
    runner = Clockwork(lambda _: 100.0)
    measurement = measure(runner, POLICY, [runner.block(0.1)], batch=1)
    assert all(len(block.latency_ms) >= 5 for block in measurement.blocks)
    assert len(measurement.blocks) >= MINIMUM_BLOCKS


def test_even_an_inference_longer_than_the_time_has_an_interval() -> None:
    runner = Clockwork(lambda _: 9000.0)
    measurement = measure(runner, POLICY, [runner.block(0.0)], batch=1)
    assert len(measurement.blocks) == MINIMUM_BLOCKS


def test_warming_up_is_accounted_for() -> None:
    runner = Clockwork(lambda _: 2.0)
    warmup = warm_up(runner, POLICY)
    measurement = measure(runner, POLICY, warmup, batch=1)
    assert measurement.warmup_runs == sum(len(block.latency_ms) for block in warmup)
    assert measurement.warmup_seconds == sum(block.span_seconds for block in warmup)


def test_streams_are_judged_by_throughput() -> None:
    # latencies differ between blocks, what is done in a second does not
    class Even(Clockwork):
        def block(self, seconds: float) -> Block:
            self.asked.append(seconds)
            return Block(np.full(100, 1.0 + len(self.asked) % 2), max(seconds, 0.1), 0.0)

    runner = Even(lambda _: 1.0, streams=4)
    assert measure(runner, POLICY, [runner.block(0.1)], batch=1).converged
