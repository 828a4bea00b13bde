from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.graphs.passes import half_precision, selection
from engines.models import onnx_files
from tests.engines.graphs.running import (
    SHAPES,
    build_on_rtx,
    error_of,
    example,
    relative_error,
    run,
    small_model,
)

NOTHING: frozenset[str] = frozenset()


def _types(model: ModelProto) -> set[int]:
    return {tensor.data_type for tensor in model.graph.initializer if tensor.data_type != TensorProto.INT64}


@pytest.mark.parametrize("name", SHAPES)
def test_fp16_is_close_valid_and_keeps_the_types_outside(name: str) -> None:
    model = example(name)
    lowered = half_precision.lower(model, "fp16", NOTHING)
    onnx.checker.check_model(lowered, full_check=True)
    assert error_of(lowered, name) < 2e-3
    assert TensorProto.FLOAT16 in _types(lowered)
    assert (lowered.graph.input, lowered.graph.output) == (model.graph.input, model.graph.output)


@pytest.mark.parametrize("to", ["fp16", "bf16"])
@pytest.mark.parametrize("name", SHAPES)
def test_with_every_node_kept_nothing_changes(name: str, to: str) -> None:
    model = example(name)
    lowered = half_precision.lower(model, to, frozenset(selection.lowerable(model, to)))
    assert error_of(lowered, name) == 0.0


def test_tensors_between_kept_nodes_are_not_rounded() -> None:
    """Both read the same tensor, move it in between, and overflow FP16."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Mul", ["r", "huge"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Div", ["f", "huge"], ["d"]),
        helper.make_node("Add", ["d", "r"], ["y"]),
    ]
    model = small_model(nodes, {"huge": np.array(6e4, np.float32)}, shape=[2, 8])
    feeds = {"x": np.linspace(-3, 9, 16, dtype=np.float32).reshape(2, 8)}
    # as an output, since ONNX Runtime's CPU computes in FP32 and drops casts there and back
    overflown = half_precision.lower(model, "fp16", NOTHING)
    del overflown.graph.output[:]
    overflown.graph.output.add(name="a").type.tensor_type.elem_type = TensorProto.FLOAT16
    assert not np.isfinite(run(overflown, feeds)).all()
    kept = half_precision.lower(model, "fp16", frozenset({"Mul_1", "Div_3"}))
    assert relative_error(run(kept, feeds), run(model, feeds)) < 1e-3
    assert [node.op_type for node in kept.graph.node if "a" in node.input or "f" in node.input] == [
        "Flatten",
        "Div",
    ]
    casts = [node for node in kept.graph.node if node.op_type == "Cast"]
    assert len({node.name for node in casts}) == len({node.output[0] for node in casts}) == len(casts)


def test_a_weight_of_lowered_and_kept_nodes_is_there_in_both_types() -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["h"]), helper.make_node("Mul", ["h", "w"], ["y"])]
    model = small_model(nodes, {"w": np.full(4, 0.1, np.float32)}, shape=[2, 4])
    lowered = half_precision.lower(model, "fp16", frozenset({"Mul_1"}))
    types = {tensor.name: tensor.data_type for tensor in lowered.graph.initializer}
    assert types == {"w": TensorProto.FLOAT, "w_fp16": TensorProto.FLOAT16}


def test_subgraphs_find_what_they_read_in_fp32() -> None:
    value = helper.make_tensor_value_info("t", TensorProto.FLOAT, ["n", 4])
    branches = [
        helper.make_graph([helper.make_node(operator, ["h"], ["t"])], operator, [], [value])
        for operator in ("Abs", "Neg")
    ]
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["h"]),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["i"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("Relu", ["i"], ["y"]),
    ]
    weights = {"w": np.full(4, 0.1, np.float32), "zero": np.array(0, np.float32)}
    model = small_model(nodes, weights, shape=[2, 4])
    lowered = half_precision.lower(model, "fp16", NOTHING)
    onnx.checker.check_model(lowered, full_check=True)
    feeds = {"x": np.ones((2, 4), np.float32)}
    assert relative_error(run(lowered, feeds), run(model, feeds)) < 1e-3


def test_an_embedding_is_rounded_only_for_a_node_that_is() -> None:
    model = example("transformer")
    gather = next(node for node in model.graph.node if node.op_type == "Gather")
    reader = next(node for node in model.graph.node if gather.output[0] in node.input)
    for keep, dtype in ((NOTHING, TensorProto.FLOAT16), (frozenset({reader.name}), TensorProto.FLOAT)):
        lowered = half_precision.lower(model, "fp16", keep)
        table = next(node for node in lowered.graph.node if node.name == gather.name).input[0]
        assert onnx_files.constants(lowered.graph)[table].data_type == dtype


def test_weights_are_rounded_to_the_nearest_and_stay_finite_and_nonzero() -> None:
    values = np.array([1 / 3, -1e-9, 0, 1e6, -np.inf, np.nan, -3.4e38], np.float32)
    fp16, bf16 = half_precision.halves(values, "fp16"), half_precision.halves(values, "bf16")
    assert fp16.dtype == np.float16
    np.testing.assert_array_equal(fp16[:4], np.array([1 / 3, -6e-8, 0, 65504], np.float16))
    np.testing.assert_array_equal(fp16[4:6], np.array([-np.inf, np.nan], np.float16))
    assert bf16.dtype == ml_dtypes.bfloat16
    assert float(bf16[0]) == 0.333984375
    assert np.isfinite(float(bf16[6]))


def test_bf16_weights_come_from_the_fp32_ones() -> None:
    model = example("mlp")
    lowered = onnx_files.constants(half_precision.lower(model, "bf16", NOTHING).graph)
    weight = numpy_helper.to_array(onnx_files.constants(model.graph)["weight_0"])
    assert lowered["weight_0_bf16"].data_type == TensorProto.BFLOAT16
    expected = weight.astype(ml_dtypes.bfloat16).astype(np.float32)
    actual = numpy_helper.to_array(lowered["weight_0_bf16"]).astype(np.float32)
    np.testing.assert_array_equal(actual, expected)


def test_the_model_given_is_left_as_it_was() -> None:
    model = example("mlp")
    before = model.SerializeToString(deterministic=True)
    first, second = (half_precision.lower(model, "fp16", frozenset({"Gemm_2"})) for _ in range(2))
    assert model.SerializeToString(deterministic=True) == before
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


@pytest.mark.parametrize("to", ["fp16", "bf16"])
@pytest.mark.parametrize("name", SHAPES)
def test_rtx_builds_it_plain_and_mixed(name: str, to: str, tmp_path: Path) -> None:
    model = example(name)
    every_other = frozenset(selection.lowerable(model, to)[::2])
    half = build_on_rtx(half_precision.lower(model, to, NOTHING), SHAPES[name], tmp_path)
    mixed = build_on_rtx(half_precision.lower(model, to, every_other), SHAPES[name], tmp_path)
    assert half < mixed
