"""Networks whose times differ by a known share: chains of equal layers."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def save_chain(folder: Path, layers: int, rows: int, width: int) -> Path:
    """Writes chain_LAYERS.onnx; a layer is a product with an orthogonal matrix, and the absolute value.

    Neither changes the norm, so any number of layers can follow in any precision, and none can be left out.
    """
    matrix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))
    nodes = []
    for layer in range(layers):
        nodes.append(helper.make_node("MatMul", [f"value_{layer}", "matrix"], [f"product_{layer}"]))
        nodes.append(helper.make_node("Abs", [f"product_{layer}"], [f"value_{layer + 1}"]))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("value_0", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info(f"value_{layers}", TensorProto.FLOAT, [rows, width])],
        [numpy_helper.from_array(matrix.astype(np.float32), "matrix")],
    )
    path = folder / f"chain_{layers}.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
