from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.core.errors import EngineError
from engines.models import onnx_files
from tests.engines.graphs.running import example, small_model


def _doubled() -> onnx.ModelProto:
    nodes = [helper.make_node("Add", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    return small_model(nodes, {"w": np.ones((2, 4), np.float32)}, shape=[2, 4])


def test_nodes_without_a_name_or_with_a_taken_one_get_their_operator_and_place() -> None:
    model = _doubled()
    for node, name in zip(model.graph.node, ["", "Add_0"], strict=True):
        node.name = name
    model.graph.node.add(op_type="Relu", input=["y"], output=["z"], name="Add_0")
    onnx_files.name_nodes(model)
    assert [node.name for node in model.graph.node] == ["Add_0_1", "Add_0", "Relu_2"]


def test_nodes_of_subgraphs_are_named_too() -> None:
    value = helper.make_tensor_value_info("t", TensorProto.FLOAT, [2])
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "inner", [], [value])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([branch], "outer", [], []))
    onnx_files.name_nodes(model)
    names = [node.name for node in onnx_files.nodes_of(model.graph)]
    assert names == ["If_0", "Relu_1", "Relu_2"]


def test_saved_model_loads_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    model = example("mlp")
    for name in ("a", "b"):
        onnx_files.save(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert onnx_files.load(tmp_path / "a") == model


def test_large_weights_go_beside_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "EXTERNAL_WEIGHTS_BYTES", 100_000)
    model = example("mlp")
    onnx_files.save(onnx_files.copy_of(model), tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx.data").stat().st_size > 300_000
    assert onnx_files.is_large(onnx.load(tmp_path / "m.onnx", load_external_data=False))
    before, after = (onnx_files.constants(one.graph) for one in (model, onnx_files.load(tmp_path / "m.onnx")))
    for name, tensor in before.items():
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(after[name]))


def test_weights_that_are_inputs_as_well_are_only_weights(tmp_path: Path) -> None:
    model = _doubled()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 4]))
    model.ir_version = 3
    onnx.save(model, tmp_path / "old.onnx")
    loaded = onnx_files.load(tmp_path / "old.onnx")
    assert [value.name for value in loaded.graph.input] == ["x"]
    assert loaded.ir_version == 4


def test_file_that_is_not_a_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(EngineError, match=r"cannot read the graph bad\.onnx"):
        onnx_files.load(tmp_path / "bad.onnx")


def test_types_and_shapes_of_all_tensors_are_known_large_weights_included() -> None:
    known = onnx_files.infer_shapes(example("mlp"))
    assert known["features"] == (TensorProto.FLOAT, ("batch", 64))
    assert known["weight_0"] == (TensorProto.FLOAT, (64, 256))
    assert known["relu_1"] == (TensorProto.FLOAT, ("batch", 256))


def test_declared_shapes_are_used_if_inference_fails() -> None:
    model = _doubled()
    model.graph.node[0].op_type = "NoSuchOperator"
    known = onnx_files.infer_shapes(model)
    assert known["x"] == (TensorProto.FLOAT, (2, 4))
    assert "h" not in known
