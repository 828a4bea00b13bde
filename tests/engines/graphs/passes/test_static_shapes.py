from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from engines.core.errors import UserError
from engines.core.values import ModelFacts, Shape, TensorFacts
from engines.graphs.passes.static_shapes import check_override, made_static, override
from engines.models.read import read_model
from examples import models
from tests.workloads import file_at

Dims = tuple[int | str | None, ...]


def _facts(**inputs: Dims) -> ModelFacts:
    facts = tuple(TensorFacts(name, "float32", shape) for name, shape in inputs.items())
    return ModelFacts(
        file_at("m.onnx", "0"), facts, (TensorFacts("y", "float32", ("batch", None)),), 17, {}, 0, 0
    )


IMAGES = _facts(x=("batch", 3, "height", "width"))
TEXT = _facts(ids=("batch", "sequence"), mask=("batch", "sequence"))


def _dims(value: ValueInfoProto) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]


def _ends(model: ModelProto) -> dict[str, list[int | str]]:
    return {value.name: _dims(value) for value in (*model.graph.input, *model.graph.output)}


def _reshaping() -> ModelProto:
    """y = x as (batch, half of width, 2), by arithmetic on its shape, the output without a shape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Gather", ["shape", "one"], ["width"]),
        helper.make_node("Div", ["width", "two"], ["half"]),
        helper.make_node("Concat", ["batch", "half", "two"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    numbers = {"zero": 0, "one": 1, "two": 2}
    weights = [numpy_helper.from_array(np.array([value], np.int64), name) for name, value in numbers.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["?", "?"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "reshaping", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("name", "shapes", "expected"),
    [
        ("mlp", {"features": (2, 64)}, {"features": [2, 64], "logits": [2, 10]}),
        ("residual_cnn", {"images": (1, 3, 64, 64)}, {"images": [1, 3, 64, 64], "logits": [1, 10]}),
        (
            "transformer",
            {"input_ids": (1, 7)},
            {"input_ids": [1, 7], "attention_mask": [1, 7], "logits": [1, 16]},
        ),
    ],
)
def test_dimension_shared_with_a_static_input_becomes_static(
    name: str, shapes: dict[str, Shape], expected: dict[str, list[int]]
) -> None:
    static = override(models.NAMES[name](), shapes)
    assert _ends(static) == expected
    onnx.checker.check_model(static, full_check=True)


def test_a_static_model_gives_what_the_dynamic_one_gives() -> None:
    model = models.NAMES["mixed_types"]()
    feeds = {
        "features": np.ones((2, 16), np.float32),
        "categories": np.ones((2, 4), np.int32),
        "gate": np.ones((2, 16), np.bool_),
    }
    static = override(model, {"features": (2, 16)})
    expected, actual = (
        ort.InferenceSession(one.SerializeToString()).run(None, feeds) for one in (model, static)
    )
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(one, other)


def test_shapes_are_followed_through_arithmetic() -> None:
    assert _ends(override(_reshaping(), {"x": (4, 6)})) == {"x": [4, 6], "y": [4, 3, 2]}


def test_dimensions_without_an_override_stay_dynamic() -> None:
    model = models.NAMES["mixed_types"]()
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "rows"
    assert _ends(override(model, {"features": (2, 16)}))["categories"] == ["rows", 4]


def test_dimensions_named_question_mark_are_unrelated() -> None:
    model = models.NAMES["mlp"]()
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "?"
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "?"
    del model.graph.value_info[:]
    assert _ends(override(model, {"features": (2, 64)})) == {"features": [2, 64], "logits": [2, 10]}


def test_the_model_given_is_left_alone() -> None:
    model = models.NAMES["mlp"]()
    before = model.SerializeToString(deterministic=True)
    override(model, {"features": (2, 64)})
    assert model.SerializeToString(deterministic=True) == before


def test_facts_are_those_of_the_overridden_model(tmp_path: Path) -> None:
    model, shapes = models.NAMES["transformer"](), {"input_ids": (1, 7)}
    onnx.save(model, tmp_path / "before.onnx")
    onnx.save(override(model, shapes), tmp_path / "after.onnx")
    expected = read_model(tmp_path / "after.onnx")
    found = made_static(read_model(tmp_path / "before.onnx"), shapes)
    assert (found.inputs, found.outputs) == (expected.inputs, expected.outputs)


def test_a_shape_without_a_name_is_that_of_the_only_input() -> None:
    assert check_override(IMAGES, {"": (1, 3, 64, 48)}) == {"x": (1, 3, 64, 48)}


def test_shapes_that_fit_are_taken() -> None:
    assert check_override(TEXT, {"ids": (1, 7)}) == {"ids": (1, 7)}


@pytest.mark.parametrize(
    ("facts", "shapes", "said"),
    [
        (IMAGES, {"z": (1, 3, 64, 64)}, "the model has no input 'z'"),
        (IMAGES, {"x": (3, 64, 64)}, "has 4 dimensions, not 3"),
        (IMAGES, {"x": (1, 4, 64, 64)}, "fixed to 3, not 4"),
        (TEXT, {"": (1, 7)}, "names no input"),
        (TEXT, {"ids": (1, 7), "mask": (1, 8)}, "'sequence' is 7 in 'ids' and 8 in 'mask'"),
        (_facts(x=("n", "n")), {"x": (2, 3)}, "'n' is 2 in 'x' and 3"),
    ],
)
def test_shapes_that_the_model_cannot_take_are_refused(
    facts: ModelFacts, shapes: dict[str, Shape], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        check_override(facts, shapes)
