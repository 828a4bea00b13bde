import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node

from engines.models.gather_bounds import index_limits

TABLE = np.zeros((10, 6), np.float32)


def _limits(
    nodes: list[onnx.NodeProto],
    functions: list[onnx.FunctionProto] | None = None,
    shape: tuple[int | str, ...] = ("n", 2),
    **tables: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> dict[str, int]:
    weights = [numpy_helper.from_array(table, name) for name, table in {"table": TABLE, **tables}.items()]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("ids", "more")]
    graph = helper.make_graph(nodes, "g", inputs, [], weights)
    return index_limits(helper.make_model(graph, functions=functions or []), ["ids", "more"])


@pytest.mark.parametrize(
    ("node", "rows"),
    [
        (make_node("Gather", ["table", "ids"], ["y"]), 10),
        (make_node("Gather", ["table", "ids"], ["y"], axis=1), 6),
        (make_node("Gather", ["table", "ids"], ["y"], axis=-2), 10),
        (make_node("GatherElements", ["table", "ids"], ["y"], axis=1), 6),
        (make_node("GatherND", ["table", "ids"], ["y"]), 6),
        (make_node("GatherND", ["table", "ids"], ["y"], batch_dims=1), 6),
        (make_node("EmbedLayerNormalization", ["ids", "", "table"], ["y"], domain="com.microsoft"), 10),
    ],
)
def test_the_rows_are_those_along_the_indexed_axis(node: onnx.NodeProto, rows: int) -> None:
    assert _limits([node]) == {"ids": rows}


def test_coordinates_of_unknown_length_are_taken_for_single_indices() -> None:
    assert _limits([make_node("GatherND", ["table", "ids"], ["y"])], shape=("n", "k")) == {"ids": 10}


@pytest.mark.parametrize(
    "operator", ["Cast", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Slice", "Expand"]
)
def test_indices_are_followed_through_operators_that_move_values(operator: str) -> None:
    nodes = [
        make_node(operator, ["ids"], ["moved"]),
        make_node("Identity", ["moved"], ["again"]),
        make_node("Gather", ["table", "again"], ["y"]),
    ]
    assert _limits(nodes) == {"ids": 10}


def test_indices_joined_count_for_each_input() -> None:
    nodes = [
        make_node("Concat", ["ids", "more"], ["both"], axis=0),
        make_node("Gather", ["table", "both"], ["y"]),
    ]
    assert _limits(nodes) == {"ids": 10, "more": 10}


def test_condition_of_where_is_not_an_index() -> None:
    nodes = [make_node("Where", ["more", "ids", "ids"], ["z"]), make_node("Gather", ["table", "z"], ["y"])]
    assert _limits(nodes) == {"ids": 10}


@pytest.mark.parametrize("operator", ["Add", "Shape", "NonZero"])
def test_indices_that_are_computed_are_not_followed(operator: str) -> None:
    nodes = [make_node(operator, ["ids"], ["z"]), make_node("Gather", ["table", "z"], ["y"])]
    assert _limits(nodes) == {}


def test_input_used_as_table_is_not_an_index() -> None:
    assert _limits([make_node("Gather", ["ids", "table"], ["y"])]) == {}


def test_the_smallest_of_several_tables_counts() -> None:
    nodes = [make_node("Gather", [table, "ids"], [f"y_{table}"]) for table in ("table", "small", "large")]
    small, large = np.zeros((3, 6), np.float32), np.zeros((99, 6), np.float32)
    assert _limits(nodes, small=small, large=large) == {"ids": 3}


@pytest.mark.parametrize("operator", ["Cast", "DequantizeLinear", "Identity"])
def test_a_table_may_be_stored_in_another_type(operator: str) -> None:
    nodes = [make_node(operator, ["table"], ["real"]), make_node("Gather", ["real", "ids"], ["y"])]
    assert _limits(nodes) == {"ids": 10}


def test_a_table_may_be_a_constant_node() -> None:
    constant = make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros((7, 2), np.float32)))
    assert _limits([constant, make_node("Gather", ["c", "ids"], ["y"])]) == {"ids": 7}


def test_a_table_that_is_computed_sets_no_limit() -> None:
    nodes = [make_node("Relu", ["table"], ["z"]), make_node("Gather", ["z", "ids"], ["y"])]
    assert _limits(nodes) == {}


def test_a_look_up_inside_a_branch_counts() -> None:
    inner = numpy_helper.from_array(np.zeros((4, 2), np.float32), "inner")
    branch = helper.make_graph([make_node("Gather", ["inner", "ids"], ["y"])], "b", [], [], [inner])
    assert _limits([make_node("If", ["c"], ["y"], then_branch=branch)]) == {"ids": 4}


def test_a_look_up_inside_a_function_counts() -> None:
    opset = [helper.make_opsetid("", 17)]
    embed = helper.make_function(
        "f", "Embed", ["t", "i"], ["o"], [make_node("Gather", ["t", "i"], ["o"])], opset
    )
    widen = helper.make_function("f", "Widen", ["i"], ["o"], [make_node("Cast", ["i"], ["o"])], opset)
    nodes = [
        make_node("Widen", ["ids"], ["wide"], domain="f"),
        make_node("Embed", ["table", "wide"], ["y"], domain="f"),
    ]
    assert _limits(nodes, [embed, widen]) == {"ids": 10}
