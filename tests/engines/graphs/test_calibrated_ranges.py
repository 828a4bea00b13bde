"""Ranges as a recipe takes them: once, kept, and taken again where what was kept is spoiled."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.artifacts.workspace import Workspace
from engines.core.values import InputSource, Settings
from engines.graphs.recipe import GraphRecipe
from tests.engines.graphs.recipes import CALIBRATING, DEFAULTS, ON_CPU, ON_GPU, Maker
from tests.workloads import file_at, workload_of


def test_ranges_are_taken_once_for_each_method_and_precision(mlp: Maker) -> None:
    mlp.graph("int8")
    assert mlp.said.count(CALIBRATING) == 1
    mlp.graph("int8", keep_fp32=1, high_precision="fp16")
    assert mlp.said.count(CALIBRATING) == 0
    for precision, method in (("fp8", "minmax"), ("int8", "entropy")):
        mlp.graph(precision, calibration=method)
        assert mlp.said.count(CALIBRATING) == 1


def test_other_data_is_looked_at_anew(mlp: Maker, tmp_path: Path) -> None:
    graph, _ = mlp.graph("int8")
    other = mlp.having(inputs=InputSource(seed=99))
    assert other.graph("int8")[0] != graph
    assert other.said.count(CALIBRATING) == 1


def test_what_a_killed_calibration_leaves_is_cleared_with_the_workspace(mlp: Maker) -> None:
    workspace = Workspace(mlp.folder / "w").create()
    seen: set[str] = set()

    def look(text: str) -> None:
        seen.update(path.name for path in workspace.caches.iterdir())

    settings = Settings(DEFAULTS, precision="int8")
    GraphRecipe(ON_GPU, mlp.workload, workspace.caches).make(settings, mlp.folder / "graph.onnx", look)
    assert seen
    assert all(name.startswith((".unfinished-", "ranges-")) for name in seen)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"\xff\xfe",
        lambda content: b"7",
        lambda content: b"[]",
        lambda content: b"null",
        lambda content: json.dumps({"features": "wide"}).encode(),
        lambda content: json.dumps({"features": None}).encode(),
    ],
)
def test_spoiled_ranges_are_taken_again(spoil: Callable[[bytes], bytes], mlp: Maker, tmp_path: Path) -> None:
    graph, _ = mlp.graph("int8")
    (file,) = (tmp_path / "caches").glob("ranges-*")
    content = file.read_bytes()
    file.write_bytes(spoil(content))
    assert mlp.graph("int8")[0] == graph
    assert mlp.said.count(CALIBRATING) == 1
    assert file.read_bytes() == content


def test_a_model_whose_batch_is_dynamic_in_name_alone_is_calibrated_at_its_own(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([2, 8], np.int64), "shape")
    weight = numpy_helper.from_array(np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["fixed"]),
        helper.make_node("MatMul", ["fixed", "w"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "stubborn", ends[:1], ends[1:], [shape, weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "stubborn.onnx")
    data = tmp_path / "data.npz"
    np.savez(data, x=np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32))
    workload = workload_of(tmp_path / "stubborn.onnx", x=(2, 8))
    given = replace(workload, calibration=InputSource(file=file_at(str(data), "d")))
    made, _ = Maker(tmp_path, given).graph("int8", ON_CPU)
    assert "QuantizeLinear" in {node.op_type for node in made.graph.node}
