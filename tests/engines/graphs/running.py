"""Small models for the tests of graphs, run on ONNX Runtime's CPU and built by the real TensorRT-RTX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.core.values import Shape, Tensors
from engines.models import onnx_files
from examples import models

# larger ones would only take longer
SHAPES: Mapping[str, Mapping[str, Shape]] = {
    "mlp": {"features": (4, 64)},
    "transformer": {"input_ids": (2, 16), "attention_mask": (2, 16)},
    "residual_cnn": {"images": (2, 3, 64, 64)},
}


def example(name: str) -> ModelProto:
    model = models.NAMES[name]()
    onnx_files.name_nodes(model)
    return model


def inputs(name: str, seed: int = 0) -> Tensors:
    random = np.random.default_rng(seed)
    if name == "transformer":
        shapes = SHAPES[name]
        ids = random.integers(0, 1000, shapes["input_ids"])
        return {"input_ids": ids, "attention_mask": np.ones(shapes["attention_mask"], np.int64)}
    return {key: random.normal(size=shape).astype(np.float32) for key, shape in SHAPES[name].items()}


def small_model(
    nodes: Sequence[NodeProto],
    weights: Mapping[str, np.ndarray],
    *,
    shape: Sequence[int | str],
    opset: int = 17,
) -> ModelProto:
    """From x of this shape to y of any."""
    rank = len(shape)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [f"d{place}" for place in range(rank)])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx_files.name_nodes(model)
    return model


def run(model: ModelProto, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # beyond that it takes FP8 in Q/DQ pairs for INT8
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def error_of(model: ModelProto, name: str) -> float:
    """The relative L2 error of what was made of an example."""
    feeds = inputs(name)
    return relative_error(run(model, feeds), run(example(name), feeds))


def build_on_rtx(model: ModelProto, shapes: Mapping[str, Shape], folder: Path) -> int:
    """The bytes of the engine; raises EngineError with the vendor's words."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    from engines.backends.tensorrt.bindings.monitor import Messages
    from engines.backends.tensorrt.bindings.refusals import guarded
    from engines.backends.tensorrt.bindings.vendor import load_vendor
    from engines.backends.tensorrt.build import network

    vendor = load_vendor("tensorrt-rtx")
    messages = Messages(vendor, "ERROR")
    builder = vendor.module.Builder(messages.logger)
    options, profile = builder.create_builder_config(), builder.create_optimization_profile()
    onnx.save(model, folder / "built.onnx")
    parsed, parser = network.parse(vendor, builder, folder / "built.onnx", messages)
    for name, shape in shapes.items():
        profile.set_shape(name, shape, shape, shape)
    options.add_optimization_profile(profile)
    plan = guarded(lambda: builder.build_serialized_network(parsed, options), messages)
    del parser
    return len(bytes(plan))
