import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.core.errors import UserError
from engines.core.values import TensorFacts
from engines.models.read import read_model


def _value(name: str, *shape: int | str | None, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _model(
    nodes: list[onnx.NodeProto] | None = None,
    inputs: list[onnx.ValueInfoProto] | None = None,
    outputs: list[onnx.ValueInfoProto] | None = None,
    weights: dict[str, object] | None = None,
    **more: object,
) -> onnx.ModelProto:
    """x @ w -> y, unless told otherwise."""
    arrays = {"w": np.ones((4, 8), np.float32)} if weights is None else weights
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])] if nodes is None else nodes,
        "g",
        [_value("x", "batch", 4)] if inputs is None else inputs,
        [_value("y", "batch", 8)] if outputs is None else outputs,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    more.setdefault("opset_imports", [helper.make_opsetid("", 17), helper.make_opsetid("custom", 1)])
    return helper.make_model(graph, ir_version=8, **more)


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_model_is_read_without_its_weights_in_the_way(tmp_path: Path) -> None:
    path = _saved(_model(), tmp_path)
    facts = read_model(path)
    assert facts.file.path == path
    assert facts.file.name == path.name
    assert facts.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.inputs == (TensorFacts("x", "float32", ("batch", 4)),)
    assert facts.outputs == (TensorFacts("y", "float32", ("batch", 8)),)
    assert (facts.opset, dict(facts.operators)) == (17, {"MatMul": 1})
    assert (facts.parameters, facts.weight_bytes, dict(facts.index_limits)) == (32, 128, {})


def test_weights_listed_as_inputs_are_not_inputs(tmp_path: Path) -> None:
    model = _model(inputs=[_value("x", "batch", 4), _value("w", 4, 8)])
    assert [facts.name for facts in read_model(_saved(model, tmp_path)).inputs] == ["x"]


def test_types_have_the_names_of_numpy(tmp_path: Path) -> None:
    names = {
        "DOUBLE": "float64",
        "FLOAT16": "float16",
        "BFLOAT16": "bfloat16",
        "INT64": "int64",
        "UINT8": "uint8",
        "BOOL": "bool",
        "STRING": "string",
        "FLOAT8E4M3FN": "float8_e4m3fn",
        "INT4": "int4",
    }
    inputs = [_value(name, 1, dtype=TensorProto.DataType.Value(name)) for name in names]
    model = _model(inputs=[_value("x", 1, 4), *inputs])
    assert [facts.dtype for facts in read_model(_saved(model, tmp_path)).inputs[1:]] == list(names.values())


@pytest.mark.parametrize(
    ("written", "meant"), [("", None), ("?", None), (-1, None), ("n", "n"), (0, 0), (3, 3)]
)
def test_a_dimension_is_a_size_a_name_or_unknown(
    tmp_path: Path, written: int | str, meant: int | str | None
) -> None:
    model = _model(inputs=[_value("x", written, 4)])
    assert read_model(_saved(model, tmp_path)).inputs[0].shape == (meant, 4)


def test_an_output_of_unknown_rank_has_no_dimensions(tmp_path: Path) -> None:
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    assert read_model(_saved(_model(outputs=[output]), tmp_path)).outputs[0].shape == ()


def test_operators_and_weights_inside_subgraphs_and_functions_count(tmp_path: Path) -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        half = numpy_helper.from_array(np.full(4, 0.5, np.float16), f"{name}_w")
        node = helper.make_node(operator, ["x"], [name])
        return helper.make_graph([node], name, [], [_value(name, "batch", 4)], [half])

    condition = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    choice = helper.make_node(
        "If", ["c"], ["z"], then_branch=branch("t", "Relu"), else_branch=branch("e", "Neg")
    )
    call = helper.make_node("Twice", ["z"], ["y"], domain="custom")
    twice = helper.make_function(
        "custom",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    facts = read_model(_saved(_model([condition, choice, call], weights={}, functions=[twice]), tmp_path))
    assert facts.operators == {"Add": 1, "Constant": 1, "If": 1, "Neg": 1, "Relu": 1, "custom::Twice": 1}
    assert (facts.parameters, facts.weight_bytes) == (9, 17)


def test_unknown_operators_are_accepted(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mystery", ["x"], ["z"], domain="custom"),
        helper.make_node("EfficientNMS_TRT", ["z"], ["y"]),
    ]
    assert set(read_model(_saved(_model(nodes), tmp_path)).operators) == {
        "custom::Mystery",
        "EfficientNMS_TRT",
    }


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["z"], ["y"]), helper.make_node("MatMul", ["x", "w"], ["z"])]
    assert read_model(_saved(_model(nodes), tmp_path)).operators == {"MatMul": 1, "Relu": 1}


def test_a_model_of_custom_operators_alone_has_opset_zero(tmp_path: Path) -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], domain="custom")
    model = _model([node], opset_imports=[helper.make_opsetid("custom", 3)])
    assert read_model(_saved(model, tmp_path)).opset == 0


def _sequence_input() -> onnx.ValueInfoProto:
    return helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_model([], outputs=[_value("x", "batch", 4)]), "the model has no operators"),
        (_model(outputs=[]), "the model has no outputs"),
        (_model([helper.make_node("Relu", ["w"], ["y"])], inputs=[]), "the model has no inputs"),
        (
            _model([helper.make_node("MatMul", ["x", "v"], ["y"], name="mm")]),
            "node 'mm' reads 'v', which no node",
        ),
        (_model(outputs=[_value("z", 1)]), "no node computes the output 'z'"),
        (_model(inputs=[_sequence_input()]), "the input 'x' is a sequence, not a tensor"),
        (_model(inputs=[onnx.ValueInfoProto(name="x")]), "the input 'x' has no type"),
        (_model(inputs=[_value("x", 1, dtype=TensorProto.UNDEFINED)]), "the input 'x' has no element type"),
        (
            _model(inputs=[helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]),
            "the input 'x' has no shape",
        ),
    ],
)
def test_a_model_that_nothing_could_run_is_refused(
    tmp_path: Path, model: onnx.ModelProto, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_model(_saved(model, tmp_path))
    assert message in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)
