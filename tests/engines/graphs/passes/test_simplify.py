import sys

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.core.errors import EngineError
from engines.core.values import Tensors
from engines.graphs.passes.simplify import available, excluded, simplify, version
from engines.models import onnx_files
from examples import models

pytest.importorskip("onnxslim", reason="onnxslim is not installed")


def _example(name: str) -> ModelProto:
    model = models.NAMES[name]()
    onnx_files.name_nodes(model)
    return model


def _feeds(model: ModelProto) -> Tensors:
    random = np.random.default_rng(0)
    feeds: Tensors = {}
    for value in model.graph.input:
        shape = [dim.dim_value or 3 for dim in value.type.tensor_type.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        floats = random.normal(size=shape)
        feeds[value.name] = (floats if dtype == np.float32 else random.integers(0, 2, shape)).astype(dtype)
    return feeds


def _run(model: ModelProto, feeds: Tensors) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(values) for values in session.run(None, feeds)]


def _foldable() -> ModelProto:
    """y = x + (1 + 2), beside a branch that nobody needs."""
    nodes = [
        helper.make_node("Add", ["one", "two"], ["three"], name="fold"),
        helper.make_node("Identity", ["x"], ["same"], name="dead"),
        helper.make_node("Relu", ["same"], ["unused"], name="dead too"),
        helper.make_node("Add", ["x", "three"], ["y"], name="stays"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    weights = [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("one", 1), ("two", 2))
    ]
    graph = helper.make_graph(nodes, "foldable", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_constants_are_folded_and_dead_nodes_left_out() -> None:
    assert [node.name for node in simplify(_foldable(), "onnxslim").graph.node] == ["stays"]


def test_none_is_the_model_itself() -> None:
    model = _foldable()
    assert simplify(model, "none") is model


@pytest.mark.parametrize("name", models.NAMES)
def test_an_example_stays_numerically_the_same(name: str) -> None:
    model = _example(name)
    feeds = _feeds(model)
    for expected, actual in zip(_run(model, feeds), _run(simplify(model, "onnxslim"), feeds), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", models.NAMES)
def test_inputs_and_outputs_stay_as_they_were(name: str) -> None:
    model = _example(name)
    graph = simplify(model, "onnxslim").graph
    assert (graph.input, graph.output) == (model.graph.input, model.graph.output)


@pytest.mark.parametrize("name", models.NAMES)
def test_names_of_nodes_are_unique_and_those_of_the_model(name: str) -> None:
    model = _example(name)
    names = [node.name for node in simplify(model, "onnxslim").graph.node]
    assert len(set(names)) == len(names)
    assert set(names) <= {node.name for node in model.graph.node}


def test_batch_norms_go_into_their_convolutions() -> None:
    simplified = simplify(_example("residual_cnn"), "onnxslim")
    assert "BatchNormalization" not in {node.op_type for node in simplified.graph.node}


def test_the_graph_never_grows() -> None:
    model = _example("transformer")
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, (1, 7), strict=True):
            dim.dim_value = size
    assert len(simplify(model, "onnxslim").graph.node) < len(model.graph.node)


def test_the_model_given_is_left_alone_and_the_same_comes_of_it_again() -> None:
    model = _example("residual_cnn")
    before = model.SerializeToString(deterministic=True)
    first, second = (simplify(model, "onnxslim").SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
    assert model.SerializeToString(deterministic=True) == before


def test_weights_listed_as_inputs_are_removed_from_inputs() -> None:
    model = _foldable()
    model.graph.input.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, []))
    assert [value.name for value in simplify(model, "onnxslim").graph.input] == ["x"]


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    simplify(_example("mixed_types"), "onnxslim")
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_it_cannot_take_is_a_failed_candidate() -> None:
    model = _foldable()
    # a circle
    model.graph.node[3].input[1] = "round"
    model.graph.node.append(helper.make_node("Relu", ["y"], ["round"]))
    with pytest.raises(EngineError, match="onnxslim cannot simplify the graph"):
        simplify(model, "onnxslim")


def test_without_the_package_there_is_only_none_and_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert available() == ("none", "onnxslim")
    assert version("onnxslim")
    monkeypatch.setitem(sys.modules, "onnxslim", None)
    assert available() == ("none",)
    assert "pip install" in excluded()["onnxslim"]
    with pytest.raises(EngineError, match="pip install"):
        simplify(_foldable(), "onnxslim")
