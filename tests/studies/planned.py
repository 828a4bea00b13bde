"""Questions about a tiny model, with data and functions of one's own beside it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.core.values import Dimension, Machine
from engines.machine.device import Device
from engines.worker.protocol import Opened
from studies.core.records import StudySpec
from studies.setup.request import Request
from studies.setup.spec import Question, specify
from tests.workloads import tiny_conv

TASK = """
import numpy as np

def batches():
    for seed in range(3):
        yield {"x": np.random.default_rng(seed).normal(size=(2, 3, 12, 12)).astype(np.float32)}

def other():
    yield from batches()

def accuracy(inputs, outputs):
    return 0.5

def loss(inputs, outputs):
    return 0.5
"""
CALIBRATED = ("int8", "fp8", "weak_int8_fp16")
SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int4", "weak_fp16", *CALIBRATED), "fp32", "type"),
    Dimension("calibration", "graph", ("minmax",), "minmax", "method", applies_to={"precision": CALIBRATED}),
)
Ask = Callable[..., Question]


def prepare(folder: Path) -> None:
    """Writes a model, functions, inputs, outputs and calibration data."""
    tiny_conv(folder)
    (folder / "task.py").write_text(TASK)
    images = np.random.default_rng(1).normal(size=(4, 3, 12, 12)).astype(np.float32)
    np.savez(folder / "data.npz", x=images)
    np.savez(folder / "more.npz", x=2 * images)
    np.savez(folder / "right.npz", y=np.ones((4, 5), np.float32))
    np.savez(folder / "wrong.npz", y=np.zeros((4, 5), np.float32))
    (folder / "images").mkdir()
    np.save(folder / "images" / "0.npy", images)


def request_in(folder: Path, **changes: Any) -> Request:
    return replace(Request(folder / "tiny.onnx", backend="fake"), **changes)


def opened(dimensions: tuple[Dimension, ...] = SPACE) -> Opened:
    """What a worker says that was opened, of a backend with every kind of precision."""
    machine = Machine("gpu", "a GPU", 1, 2**30, "Linux")
    device = Device("a-host", "GPU-1a2b", "gpu", machine.processor)
    return Opened(machine, device, dimensions, ("the GPU is hot",))


def specified(question: Question) -> tuple[StudySpec, tuple[str, ...]]:
    return specify(question, opened())
