import numpy as np
import pytest
from onnx import helper

from engines.graphs.passes import selection
from engines.graphs.passes.selection import Site
from tests.engines.graphs.running import example, small_model


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def test_a_convolution_has_an_activation_and_a_weight_of_output_channels() -> None:
    found = selection.sites(example("residual_cnn"), "int8")
    assert found[:2] == (
        Site("Conv_0", "Conv", 0, "images", is_weight=False, axis=None),
        Site("Conv_0", "Conv", 1, "weight_0", is_weight=True, axis=0),
    )


@pytest.mark.parametrize(
    ("operator", "attributes", "shape", "axis"),
    [
        ("Gemm", {}, (8, 4), 1),
        ("Gemm", {"transB": 1}, (4, 8), 0),
        ("MatMul", {}, (8, 4), 1),
        ("MatMul", {}, (3, 8, 4), None),
    ],
)
def test_the_output_channel_is_the_axis_that_is_not_summed(
    operator: str, attributes: dict[str, int], shape: tuple[int, ...], axis: int | None
) -> None:
    node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    model = small_model([node], {"w": _ones(*shape)}, shape=[2, 8])
    assert [site.axis for site in selection.sites(model, "int8") if site.is_weight] == [axis]


@pytest.mark.parametrize(("group", "axis"), [(1, 1), (2, None)])
def test_a_transposed_convolution_has_its_output_channels_second_unless_in_groups(
    group: int, axis: int | None
) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=group, kernel_shape=[2, 2])
    model = small_model([node], {"w": _ones(4, 2, 2, 2)}, shape=[1, 4, 6, 6])
    assert [site.axis for site in selection.sites(model, "fp8") if site.is_weight] == [axis]


def test_a_product_of_activations_is_quantized_on_both_sides() -> None:
    found = [site for site in selection.sites(example("transformer"), "int8") if site.node == "MatMul_24"]
    assert [(site.index, site.is_weight) for site in found] == [(0, False), (1, False)]


def test_quantized_inputs_and_products_of_weights_are_not_selected() -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("MatMul", ["v", "v"], ["c"]),
        helper.make_node("MatMul", ["h", "c"], ["y"]),
    ]
    weights: dict[str, np.ndarray] = {
        "q": np.ones((4, 4), np.int8),
        "s": np.array(0.1, np.float32),
        "v": _ones(4, 4),
    }
    found = selection.sites(small_model(nodes, weights, shape=[2, 4]), "int8")
    assert [(site.node, site.tensor) for site in found] == [
        ("MatMul_1", "x"),
        ("MatMul_3", "h"),
        ("MatMul_3", "c"),
    ]


def test_int4_takes_weights_in_two_dimensions_that_blocks_fit_into() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "fits"], ["a"]),
        helper.make_node("MatMul", ["a", "odd"], ["b"]),
        helper.make_node("Gemm", ["b", "turned"], ["y"], transB=1),
    ]
    weights = {"fits": _ones(192, 100), "odd": _ones(100, 128), "turned": _ones(5, 128)}
    model = small_model(nodes, weights, shape=[2, 192])
    found = selection.sites(model, "int4")
    assert [site.tensor for site in found] == ["fits", "turned"]
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    assert [selection.int4_block(site, initializers[site.tensor]) for site in found] == [64, 128]


def test_nodes_that_only_move_values_are_not_lowerable() -> None:
    model = example("transformer")
    found = selection.lowerable(model, "fp16")
    operators = {node.name: node.op_type for node in model.graph.node}
    kinds = {operators[name] for name in found}
    assert {"MatMul", "Softmax", "LayerNormalization", "Add"} <= kinds
    assert not kinds & {"Gather", "Transpose", "Reshape", "Cast", "Shape", "Range", "Unsqueeze"}
    order = [node.name for node in model.graph.node]
    assert sorted(found, key=order.index) == list(found)


def test_quantization_lowers_each_product_once() -> None:
    assert selection.lowerable(example("mlp"), "int8") == ("Gemm_0", "Gemm_2", "Gemm_4")
