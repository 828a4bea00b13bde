"""What a GPU's times and readings mean: `pytest -m gpu`."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend
from engines.core.results import Block
from engines.core.values import Policy, Workload
from engines.data.inputs import make_inputs
from engines.machine import gpu
from engines.machine.telemetry import between
from tests.gpu.opening import opened, products
from tests.workloads import example

pytestmark = pytest.mark.gpu

PARTED = Policy(parts=True)
LOADED_BLOCKS = 30


def _median(block: Block) -> float:
    return float(np.median(block.latency_ms))


def _rate(block: Block) -> float:
    return len(block.latency_ms) / block.span_seconds


@pytest.fixture
def images(tmp_path: Path) -> Workload:
    """Inputs of 3 MiB, which take a noticeable time to copy."""
    return example("residual_cnn", tmp_path, images=(64, 3, 64, 64))


@pytest.fixture
def fits_the_cache(tmp_path: Path) -> Workload:
    """Weights of 18 MiB, which are read once in each inference."""
    return products(tmp_path, batch=1, width=1536, count=2)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_with_transfers_the_latency_is_the_sum_of_copies_and_compute(
    backend: Backend, images: Workload, workspace: Workspace, *, cuda_graph: bool
) -> None:
    policy = Policy(parts=True, transfers=True)
    with opened(backend, images, workspace, policy, cuda_graph=cuda_graph) as runner:
        runner.block(0.2)
        block = runner.block(0.3)
    parts = block.parts
    assert set(parts) == {"enqueue_ms", "h2d_ms", "compute_ms", "d2h_ms"}
    assert all((part > 0).all() and len(part) == len(block.latency_ms) for part in parts.values())
    assert np.allclose(block.latency_ms, parts["h2d_ms"] + parts["compute_ms"] + parts["d2h_ms"])


def test_copies_overlap_the_inferences_around_them(
    backend: Backend, tmp_path: Path, workspace: Workspace
) -> None:
    """Inputs and outputs of 16 MiB, each of which take longer to copy than to compute on."""
    wide = products(tmp_path, batch=2048, width=2048, count=2)
    with opened(backend, wide, workspace, Policy(transfers=True), cuda_graph=True) as runner:
        runner.block(0.2)
        block = runner.block(0.3)
    one_after_another = 1e3 / float(block.latency_ms.mean())
    assert _rate(block) > 1.3 * one_after_another


def test_copies_that_are_timed_take_what_they_take_alone(
    backend: Backend, images: Workload, workspace: Workspace
) -> None:
    with opened(backend, images, workspace, Policy(parts=True, transfers=True), cuda_graph=True) as runner:
        runner.block(0.2)
        block = runner.block(0.3)
    in_the_loop = float(np.median(block.parts["h2d_ms"]))
    assert in_the_loop == pytest.approx(block.telemetry["h2d_ms"], rel=0.5)


def test_without_transfers_the_latency_is_compute_alone(
    backend: Backend, images: Workload, workspace: Workspace
) -> None:
    with opened(backend, images, workspace, PARTED, cuda_graph=True, streams=2) as runner:
        block = runner.block(0.2)
    assert np.array_equal(block.latency_ms, block.parts["compute_ms"])
    assert not block.parts["h2d_ms"].any()
    assert not block.parts["d2h_ms"].any()
    assert (block.parts["enqueue_ms"] > 0).all()


def test_outputs_are_right_after_copies_that_overlapped(
    backend: Backend, images: Workload, workspace: Workspace
) -> None:
    batches = make_inputs(images, images.plan.batch)
    with opened(backend, images, workspace, Policy(transfers=True), cuda_graph=True) as runner:
        before = [runner.infer(batch)["logits"] for batch in batches]
        runner.block(0.2)
        after = [runner.infer(batch)["logits"] for batch in batches]
    assert all(map(np.array_equal, before, after))
    assert not np.array_equal(before[0], before[1])


def test_cold_caches_make_weights_come_from_memory(
    backend: Backend, fits_the_cache: Workload, workspace: Workspace
) -> None:
    with opened(backend, fits_the_cache, workspace, cuda_graph=True) as runner:
        runner.block(0.2)
        hot, cold, again = runner.block(0.2), runner.block(0.2, cold=True), runner.block(0.2)
    assert _median(cold) > 1.2 * _median(hot)
    assert _median(again) == pytest.approx(_median(hot), rel=0.1)


def test_what_cold_blocks_held_is_given_back(
    backend: Backend, fits_the_cache: Workload, workspace: Workspace
) -> None:
    from engines.backends.tensorrt.run.runner import free_bytes

    with opened(backend, fits_the_cache, workspace) as runner:
        runner.block(0.0, cold=True)
    before = free_bytes()
    for _ in range(5):
        with opened(backend, fits_the_cache, workspace) as runner:
            runner.block(0.0, cold=True)
    assert before - free_bytes() < 32 << 20


@pytest.mark.parametrize("transfers", [False, True])
def test_waiting_asleep_times_the_same_engine(
    backend: Backend, images: Workload, workspace: Workspace, *, transfers: bool
) -> None:
    medians = {}
    for spin_wait in (True, False):
        policy = Policy(spin_wait=spin_wait, transfers=transfers)
        with opened(backend, images, workspace, policy, cuda_graph=True) as runner:
            runner.block(0.2)
            medians[spin_wait] = _median(runner.block(0.3))
    assert medians[False] == pytest.approx(medians[True], rel=0.2)


def test_readings_are_within_what_the_gpu_can_be(
    backend: Backend, workload: Workload, workspace: Workspace
) -> None:
    limits, probe = backend.machine().limits, backend.probe()
    with opened(backend, workload, workspace, cuda_graph=True) as runner:
        runner.block(0.3)
        reading = probe.read()
    values = reading.values
    assert {"clock_mhz", "memory_clock_mhz", "temperature_c", "power_w"} <= set(values)
    assert 0 < values["clock_mhz"] <= float(limits["max_sm_clock_mhz"])
    assert 0 < values["memory_clock_mhz"] <= float(limits["max_memory_clock_mhz"])
    assert 10 < values["temperature_c"] < 100
    assert 10 < values["power_w"] < 1.2 * float(limits["power_limit_w"])


def test_energy_is_what_the_gpus_own_counter_says(
    backend: Backend, tmp_path: Path, workspace: Workspace
) -> None:
    nvml, handle = gpu.open_gpu(0)
    probe, heavy = backend.probe(), products(tmp_path, batch=2048, width=4096, count=4)
    with opened(backend, heavy, workspace, cuda_graph=True) as runner:
        runner.block(1.0)
        first, readings = nvml.nvmlDeviceGetTotalEnergyConsumption(handle), [probe.read()]
        for _ in range(LOADED_BLOCKS):
            runner.block(0.1)
            readings.append(probe.read())
        last = nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    energy = sum(between(before, after)["energy_mj"] for before, after in pairwise(readings))
    # the counter moves every 0.1 s, which is a thirtieth of the time
    assert energy == pytest.approx(last - first, rel=0.1)
