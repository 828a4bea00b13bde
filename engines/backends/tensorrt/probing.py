"""What a builder does not say of itself, found by building the smallest network that would need it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.tensorrt import network
from engines.backends.tensorrt.monitor import Messages, progress_monitor
from engines.backends.tensorrt.refusals import guarded
from engines.backends.tensorrt.vendor import Vendor
from engines.errors import EngineError

CHANNELS, SIZE = 32, 8


def refuses_int8_convolutions(vendor: Vendor) -> str:
    """The builder's words where it cannot build a convolution between Q/DQ; empty where it can.

    TensorRT-RTX 1.6 takes INT8 in products only. What it prints about it is no business of a log.
    """
    from engines.graphs import onnx_files, qdq

    messages = Messages(vendor, None)
    with tempfile.TemporaryDirectory() as folder, _silent():
        file = Path(folder) / "probe.onnx"
        onnx_files.save(qdq.insert_qdq(_convolution(), "int8", {"x": 1.0}, frozenset()), file)
        try:
            _build(vendor, file, messages)
        except EngineError as error:
            return error.message
    return ""


def _build(vendor: Vendor, file: Path, messages: Messages) -> None:
    builder = guarded(lambda: vendor.module.Builder(messages.logger), messages)
    parsed, parser = network.parse(vendor, builder, file, messages)
    options = builder.create_builder_config()
    options.progress_monitor = monitor = progress_monitor(vendor, lambda _: None)
    guarded(lambda: builder.build_serialized_network(parsed, options), messages)
    # both must outlive the build
    del parser, monitor


@contextmanager
def _silent() -> Iterator[None]:
    """The library writes to the file behind standard error, past Python."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _convolution() -> Any:
    from onnx import TensorProto, helper, numpy_helper

    shape = (1, CHANNELS, SIZE, SIZE)
    weight = np.random.default_rng(0).normal(size=(CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
