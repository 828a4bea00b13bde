"""What drive.py does with an engine: a block for each value of a run dimension, and each way to time."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from engines.backends.tensorrt.run.load import ENGINE
from engines.core.results import Block
from engines.core.values import Policy, Settings, Tensors, Workload
from tests.contracts import cuda_standins
from tests.contracts.driving import Drive, Step, conv
from tests.contracts.scripts import PLAN

WAYS = {
    "transfers=True": Policy(transfers=True, parts=True),
    "cold=True": Policy(cold=True),
    "spin_wait=False": Policy(spin_wait=False),
    "parts=True": Policy(parts=True),
}


def runs(drive: Drive) -> dict[str, int]:
    """Samples of a block for each value of each run dimension, and for each way to time."""
    workload = conv(drive.folder)
    backend, _ = drive.open()
    dimensions = [one for one in backend.dimensions(workload, concurrent=True) if one.kind == "run"]
    default = Settings({one.name: one.default for one in dimensions})
    steps: dict[str, Step] = {}
    for one in dimensions:
        for value in dict.fromkeys((*one.choices, *one.fixable)):
            settings = Settings({**default, one.name: value})
            steps[f"{one.name}={value}"] = partial(_run, drive, workload, settings)
    for name, policy in WAYS.items():
        steps[name] = partial(_run, drive, workload, default, policy)
    return {what: drive.attempt(what, step) for what, step in steps.items()}


def _run(drive: Drive, workload: Workload, settings: Settings, policy: Policy = Policy()) -> int:
    backend, _ = drive.open()
    with tempfile.TemporaryDirectory(dir=drive.folder) as folder:
        (Path(folder) / ENGINE).write_bytes(PLAN)
        inputs: Tensors = {"x": np.zeros((2, 3, 12, 12), np.float32)}
        held = cuda_standins.Buffer.open_buffers
        runner = backend.open(Path(folder), workload, settings, inputs, policy)
        outputs = runner.infer(inputs, runner.streams - 1)
        assert outputs["y"].shape == (2, 5)
        block = runner.block(0.0, cold=policy.cold)
        runner.close()
        assert cuda_standins.Buffer.open_buffers == held, "device memory was not given back"
    _check_parts(block, policy)
    return len(block.latency_ms)


def _check_parts(block: Block, policy: Policy) -> None:
    """Between two events lies a quarter of a millisecond, and a part of an inference."""
    step, parts = 0.25, 3 if policy.transfers else 1
    assert set(block.latency_ms) == {parts * step}
    assert block.span_seconds * 1e3 >= parts * step
    if policy.parts:
        assert set(block.parts["compute_ms"]) == {step}
        assert set(block.parts["h2d_ms"]) == set(block.parts["d2h_ms"]) == {step * policy.transfers}
        assert (block.parts["enqueue_ms"] > 0).all()
