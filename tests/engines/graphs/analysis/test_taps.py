"""The tensors inside a graph, as ONNX Runtime computes them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.core.errors import EngineError, UserError
from engines.graphs.analysis.taps import TappedGraph
from tests.workloads import tiny_conv

X = np.random.default_rng(1).normal(size=(2, 3, 12, 12)).astype(np.float32)


def save(folder: Path, nodes: list[onnx.NodeProto], outputs: list[str], *weights: onnx.TensorProto) -> Path:
    """A graph of the input x of n x 4, as a file."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        list(weights),
    )
    path = folder / "g.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_every_float_tensor_is_tapped_in_the_order_of_the_nodes(tmp_path: Path) -> None:
    graph = TappedGraph(tiny_conv(tmp_path))
    assert [tap.tensor for tap in graph.taps] == ["c", "r", "p", "f", "y"]
    assert [tap.node.name for tap in graph.taps] == ["conv", "relu", "pool", "flatten", "classify"]


def test_the_tensors_are_those_that_the_graph_computes(tmp_path: Path) -> None:
    graph = TappedGraph(tiny_conv(tmp_path))
    found = graph.session(["c", "r"]).run({"x": X})
    assert list(found) == ["c", "r"]
    assert np.array_equal(found["r"], np.maximum(found["c"], 0))
    assert found["c"].min() < 0
    (outputs,) = graph.run([{"x": X}])
    assert list(outputs) == ["y"]
    assert np.array_equal(outputs["y"], graph.session(["y"]).run({"x": X})["y"])


def test_integers_sequences_and_constants_are_left_out(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2), "v")),
        helper.make_node("Mul", ["x", "two"], ["m"]),
        helper.make_node("Shape", ["m"], ["s"]),
        helper.make_node("SequenceConstruct", ["m", "x"], ["q"]),
        helper.make_node("Relu", ["m"], ["y"]),
    ]
    graph = TappedGraph(save(tmp_path, nodes, ["y"]))
    assert [tap.tensor for tap in graph.taps] == ["m", "y"]


def test_bfloat16_is_given_as_float(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["b"], to=TensorProto.BFLOAT16),
        helper.make_node("Cast", ["b"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = TappedGraph(save(tmp_path, nodes, ["y"]))
    values = np.array([[1, 1.001, 3, 4]], np.float32)
    found = graph.session(["b"]).run({"x": values})["b"]
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 1, 3, 4]]
    # and the graph is as it was
    assert list(graph.run([{"x": values}])[0]) == ["y"]


def test_weights_in_another_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    plain = TappedGraph(tiny_conv(tmp_path)).run([{"x": X}])[0]["y"]
    model = onnx.load(tiny_conv(folder))
    onnx.save(model, folder / "outside.onnx", save_as_external_data=True, location="w", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(TappedGraph(Path("models/outside.onnx")).run([{"x": X}])[0]["y"], plain)


def test_a_node_without_a_name_gets_one_and_is_remembered(tmp_path: Path) -> None:
    graph = TappedGraph(save(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], ["y"]))
    assert graph.taps[0].node.name == "Relu_0"
    assert graph.unnamed == {"y"}


def test_tensors_around_a_branch_are_read(tmp_path: Path) -> None:
    branch = [
        helper.make_graph(
            [helper.make_node(operator, ["m"], [f"inner_{operator}"])],
            operator,
            [],
            [helper.make_tensor_value_info(f"inner_{operator}", TensorProto.FLOAT, None)],
        )
        for operator in ("Relu", "Neg")
    ]
    nodes = [
        helper.make_node("Exp", ["x"], ["m"]),
        helper.make_node("If", ["true"], ["i"], then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Neg", ["i"], ["y"]),
    ]
    graph = TappedGraph(save(tmp_path, nodes, ["y"], numpy_helper.from_array(np.array(True), "true")))
    assert [tap.tensor for tap in graph.taps] == ["m", "i", "y"]
    found = graph.session(["i"]).run({"x": np.zeros((1, 4), np.float32)})
    assert found["i"].tolist() == [[1, 1, 1, 1]]


def test_file_that_is_not_an_onnx_model_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello, this is text")
    with pytest.raises(UserError, match="not an ONNX model but a text"):
        TappedGraph(tmp_path / "text.onnx")


def test_onnx_runtime_failure_is_an_engine_error(tmp_path: Path) -> None:
    strange = TappedGraph(save(tmp_path, [helper.make_node("Nonsense", ["x"], ["y"])], ["y"]))
    with pytest.raises(EngineError, match="Nonsense"):
        strange.run([{"x": np.zeros((1, 4), np.float32)}])
    fine = TappedGraph(tiny_conv(tmp_path))
    with pytest.raises(EngineError, match="x"):
        fine.run([{"x": np.zeros((1, 4), np.float32)}])
