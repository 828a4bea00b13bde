"""What a worker answers about ONNX files alone."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.core.errors import UserError
from engines.core.values import Tensors
from engines.data import tensor_files
from engines.worker.graph_commands import answer
from engines.worker.protocol import CompareGraphs, EngineRan, GraphsCompared, RunModel
from tests.workloads import tiny_conv

BATCHES: list[Tensors] = [{"x": np.full((1, 3, 12, 12), value, np.float32)} for value in (1, -1)]


@pytest.fixture
def inputs(tmp_path: Path) -> str:
    tensor_files.save(tmp_path / "in.npz", BATCHES)
    return str(tmp_path / "in.npz")


def run(model: Path, inputs: str) -> list[Tensors]:
    outputs = str(model.parent / "out.npz")
    assert answer(RunModel(str(model), inputs, outputs), lambda *_: None) == EngineRan()
    return tensor_files.load(Path(outputs))


def test_a_model_is_run_on_each_batch(tmp_path: Path, inputs: str) -> None:
    found = run(tiny_conv(tmp_path), inputs)
    assert [list(batch) for batch in found] == [["y"], ["y"]]
    assert not np.array_equal(found[0]["y"], found[1]["y"])


@pytest.mark.parametrize(("to_the_end", "compared"), [(False, 1), (True, 5)])
def test_tensors_are_compared_to_the_first_beyond_or_to_the_end(
    tmp_path: Path, inputs: str, to_the_end: bool, compared: int
) -> None:
    other = onnx.load(tiny_conv(tmp_path))
    other.graph.node[0].attribute[0].ints[:] = [1, 1, 1, 1]
    kernel = other.graph.initializer[0]
    kernel.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(kernel), kernel.name))
    onnx.save(other, tmp_path / "other.onnx")
    models = (str(tmp_path / "tiny.onnx"), str(tmp_path / "other.onnx"))
    said: list[tuple[str, str]] = []
    found = answer(
        CompareGraphs(models, (inputs, inputs), 0.01, to_the_end),
        lambda stage, detail: said.append((stage, detail)),
    )
    assert isinstance(found, GraphsCompared)
    assert (len(found.tensors), found.common) == (compared, 5)
    assert said == [("load", ""), ("check", "tensor 1 of 5")]


def test_unsupported_cpu_type_names_the_file_and_an_alternative(tmp_path: Path, inputs: str) -> None:
    half = TensorProto.BFLOAT16
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=half),
        helper.make_node("Sigmoid", ["b"], ["s"]),
        helper.make_node("Cast", ["s"], ["y"], to=TensorProto.FLOAT),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 12, 12]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "brain.onnx")
    with pytest.raises(UserError, match=r"cannot run .*brain.onnx: ") as refusal:
        run(tmp_path / "brain.onnx", inputs)
    assert "compare an engine that was built from the file" in refusal.value.hint
