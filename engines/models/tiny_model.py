"""A small network made on the spot, to measure a machine by; the same bytes on every run."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BATCH, WIDTH, LAYERS = 64, 512, 6


def save_tiny_model(path: Path) -> Path:
    """Writes a few matrix products with nonlinearities between: 6 MiB, and 100 million multiplications."""
    random = np.random.default_rng(0)
    shape, scale = (WIDTH, WIDTH), (2 / WIDTH) ** 0.5
    weights = [
        numpy_helper.from_array((random.normal(size=shape) * scale).astype(np.float32), f"weight_{layer}")
        for layer in range(LAYERS)
    ]
    nodes = []
    for layer in range(LAYERS):
        product = helper.make_node("MatMul", [f"value_{layer}", f"weight_{layer}"], [f"product_{layer}"])
        nodes += [product, helper.make_node("Relu", [f"product_{layer}"], [f"value_{layer + 1}"])]
    size = [BATCH, WIDTH]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("value_0", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info(f"value_{LAYERS}", TensorProto.FLOAT, size)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
