"""Small real workloads for tests: a model made by examples/models.py, at a shape, on seeded inputs."""

from pathlib import Path, PurePath

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.core.values import FileRef, InputSource, Policy, Shape, Workload
from engines.models.read import read_model
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from examples import models

# enough to exercise the loops, too short to measure anything
QUICK = Policy(
    warmup_seconds=0.005,
    minimum_seconds=0.01,
    maximum_seconds=0.05,
    block_seconds=0.002,
    target_half_width=1.0,
)


def example(name: str, folder: Path, **optimum: Shape) -> Workload:
    """One of the example models at its optimum shapes; dynamic dimensions not given are 1."""
    return workload_of(models.save(name, folder), **optimum)


def workload_of(path: Path, **optimum: Shape) -> Workload:
    model = read_model(path)
    shapes, _ = resolve(model, optimum, {}, {}, {})
    batch, batched = batch_of(model, shapes)
    return Workload(model, single_plan(shapes, batch), batched, InputSource())


def tiny_conv(folder: Path, name: str = "tiny.onnx") -> Path:
    """A convolution, a nonlinearity and a product, over a dynamic batch."""
    random = np.random.default_rng(7)
    kernel = numpy_helper.from_array(random.normal(size=(8, 3, 3, 3)).astype(np.float32) / 4, "kernel")
    weights = numpy_helper.from_array(random.normal(size=(8, 5)).astype(np.float32), "weights")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "weights"], ["y"], name="classify"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [kernel, weights],
    )
    path = folder / name
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def file_at(where: object, digest: str = "0") -> FileRef:
    """A file of that digest, last seen at a path."""
    return FileRef(digest, PurePath(str(where)).name, str(where))
