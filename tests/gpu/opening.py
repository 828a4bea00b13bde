"""Engines built and opened on the GPU, as a test wants them run and timed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.artifacts.store import make_engine, make_graph
from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend, Runner
from engines.core.values import Policy, Value, Workload
from engines.data.inputs import make_inputs
from studies.core.space import candidate_at
from tests.workloads import workload_of


@contextmanager
def opened(
    backend: Backend,
    workload: Workload,
    workspace: Workspace,
    policy: Policy = Policy(),
    **chosen: Value,
) -> Iterator[Runner]:
    """A runner of the baseline but for what is chosen."""
    dimensions = backend.dimensions(workload, True)
    defaults = {dimension.name: dimension.default for dimension in dimensions}
    candidate = candidate_at(dimensions, {**defaults, **chosen})
    graph = make_graph(backend, workload, candidate.graph, workspace)
    _, folder = make_engine(backend, workload, candidate, workspace, graph)
    inputs = make_inputs(workload, workload.plan.batch)[0]
    runner = backend.open(folder, workload, candidate.run, inputs, policy)
    try:
        yield runner
    finally:
        runner.close()


def products(folder: Path, batch: int, width: int, count: int) -> Workload:
    """Matrix products one after another; their weights take 4 * count * width**2 bytes."""
    random = np.random.default_rng(7)
    weights = [
        numpy_helper.from_array(
            (random.normal(size=(width, width)) / width**0.5).astype(np.float32), f"w{place}"
        )
        for place in range(count)
    ]
    names = ["x", *(f"h{place}" for place in range(1, count)), "y"]
    nodes = [
        helper.make_node("MatMul", [names[place], f"w{place}"], [names[place + 1]]) for place in range(count)
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name in "xy")
    graph = helper.make_graph(nodes, "products", [x], [y], weights)
    path = folder / "products.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return workload_of(path, x=(batch, width))
