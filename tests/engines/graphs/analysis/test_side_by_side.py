"""Two graphs compared tensor by tensor."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from engines.accuracy.compare import NodeCompared
from engines.core.values import Tensors
from engines.graphs.analysis import side_by_side as module
from engines.graphs.analysis.side_by_side import pairs, side_by_side
from engines.graphs.analysis.taps import TappedGraph
from tests.workloads import tiny_conv

X = np.random.default_rng(1).normal(size=(1, 3, 12, 12)).astype(np.float32)
Change = Callable[[onnx.ModelProto], None]


def changed(folder: Path, change: Change) -> Path:
    model = onnx.load(tiny_conv(folder))
    change(model)
    path = folder / "changed.onnx"
    onnx.save(model, path)
    return path


def compared(folder: Path, other: Path) -> dict[str, NodeCompared]:
    first, second = TappedGraph(tiny_conv(folder)), TappedGraph(other)
    batches: list[Tensors] = [{"x": X}, {"x": -X}]
    return {one.compared.name: one for one in side_by_side(first, second, (batches, batches), lambda _: None)}


def error(one: NodeCompared) -> float:
    assert one.compared.error is not None
    return one.compared.error.relative_l2


def wrong_weights(model: onnx.ModelProto) -> None:
    weights = model.graph.initializer[1]
    values = numpy_helper.to_array(weights) * np.float32(1.5)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def named_anew(model: onnx.ModelProto) -> None:
    """The tensors have other names, and the nodes their own."""
    names = {"c": "c2", "r": "r2"}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def without_names(model: onnx.ModelProto) -> None:
    named_anew(model)
    for node in model.graph.node:
        node.name = ""


def quantized(model: onnx.ModelProto) -> None:
    """Quantize and dequantize before the convolution, much too coarsely."""
    scale, zero = np.array(1.0, np.float32), np.array(0, np.int8)
    model.graph.initializer.extend(
        [numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(zero, "zero")]
    )
    model.graph.node[0].input[0] = "xd"
    model.graph.node.insert(0, helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]))
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]))


def test_a_graph_is_equal_to_itself(tmp_path: Path) -> None:
    found = compared(tmp_path, tiny_conv(tmp_path, "again.onnx"))
    assert list(found) == ["c", "r", "p", "f", "y"]
    assert [error(one) for one in found.values()] == [0.0] * 5


def test_the_node_that_differs_is_named_with_its_inputs(tmp_path: Path) -> None:
    found = compared(tmp_path, changed(tmp_path, wrong_weights))
    assert [name for name, one in found.items() if one.compared.is_beyond(0.01)] == ["y"]
    assert (found["y"].operator, found["y"].node, found["y"].inputs) == ("MatMul", "classify", ("f",))
    assert error(found["y"]) == pytest.approx(0.5)


def test_casts_of_a_conversion_are_followed(tmp_path: Path) -> None:
    half = convert_float_to_float16(onnx.load(tiny_conv(tmp_path)), keep_io_types=True)
    onnx.save(half, tmp_path / "half.onnx")
    found = compared(tmp_path, tmp_path / "half.onnx")
    assert list(found) == ["c", "r", "p", "f", "y"]
    assert found["c"].compared.dtypes == ("float32", "float16")
    assert found["c"].conversions == ("Cast",)
    assert 0 < error(found["y"]) < 0.01


def test_a_cast_is_made_by_the_node_before_it(tmp_path: Path) -> None:
    half = convert_float_to_float16(onnx.load(tiny_conv(tmp_path)), keep_io_types=True)
    onnx.save(half, tmp_path / "half.onnx")
    first, second = TappedGraph(tmp_path / "half.onnx"), TappedGraph(tiny_conv(tmp_path))
    found = {
        one.compared.name: one
        for one in side_by_side(first, second, ([{"x": X}], [{"x": X}]), lambda _: None)
    }
    assert (found["y"].operator, found["y"].node, found["y"].inputs) == ("MatMul", "classify", ("f",))


def test_quantization_before_a_node_is_told(tmp_path: Path) -> None:
    found = compared(tmp_path, changed(tmp_path, quantized))
    assert found["c"].conversions == ("QuantizeLinear", "DequantizeLinear")
    assert error(found["c"]) > 0.01
    assert found["y"].conversions == ()


def test_tensors_of_other_names_are_found_by_their_nodes(tmp_path: Path) -> None:
    assert list(compared(tmp_path, changed(tmp_path, named_anew))) == ["c", "r", "p", "f", "y"]


def test_names_that_were_made_up_tell_nothing(tmp_path: Path) -> None:
    assert list(compared(tmp_path, changed(tmp_path, without_names))) == ["p", "f", "y"]


def test_other_shapes_are_said(tmp_path: Path) -> None:
    def padded(model: onnx.ModelProto) -> None:
        model.graph.node[0].attribute[0].ints[:] = [0, 0, 0, 0]

    found = compared(tmp_path, changed(tmp_path, padded))
    assert "has shape (1, 8, 10, 10), not (1, 8, 12, 12)" in found["c"].compared.problem
    assert found["p"].compared.error is not None


def test_tensors_are_read_in_groups_that_bound_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_TENSORS", 2)
    monkeypatch.setattr(module, "GROUP_BYTES", 1)
    said: list[str] = []
    first, second = TappedGraph(tiny_conv(tmp_path)), TappedGraph(changed(tmp_path, wrong_weights))
    found = list(side_by_side(first, second, ([{"x": X}], [{"x": X}]), said.append))
    assert said == ["tensor 1 of 5", "tensor 3 of 5", "tensor 4 of 5", "tensor 5 of 5"]
    assert found[-1].inputs == ("f",)


def test_whoever_has_seen_enough_reads_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_TENSORS", 1)
    said: list[str] = []
    graphs = TappedGraph(tiny_conv(tmp_path)), TappedGraph(changed(tmp_path, quantized))
    found = side_by_side(*graphs, ([{"x": X}], [{"x": X}]), said.append)
    assert next(found).compared.name == "c"
    assert said == ["tensor 1 of 5"]


def test_graphs_without_common_names_have_no_pairs(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["other"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("other", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert pairs(TappedGraph(tiny_conv(tmp_path)), TappedGraph(path)) == ()
