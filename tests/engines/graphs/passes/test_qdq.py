from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.core.errors import EngineError
from engines.graphs.passes import half_precision, selection
from engines.graphs.passes.calibration import calibrate
from engines.graphs.passes.qdq import insert_qdq
from engines.models import onnx_files
from tests.engines.graphs.running import (
    SHAPES,
    build_on_rtx,
    error_of,
    example,
    inputs,
    relative_error,
    run,
    small_model,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOTHING: frozenset[str] = frozenset()


@pytest.fixture
def ranges(tmp_path: Path) -> dict[str, dict[str, float]]:
    return {name: _ranges(name, tmp_path) for name in SHAPES}


def _ranges(name: str, folder: Path) -> dict[str, float]:
    if name not in _known():
        model, file = example(name), folder / "model.onnx"
        onnx_files.save(model, file)
        tensors = [site.tensor for site in selection.sites(model, "int8") if not site.is_weight]
        _known()[name] = calibrate(
            file, [inputs(name, seed) for seed in range(1, 4)], "minmax", tensors, folder
        )
    return _known()[name]


@cache
def _known() -> dict[str, dict[str, float]]:
    return {}


def _surrounded(name: str, high: str) -> ModelProto:
    model = example(name)
    return model if high == "fp32" else half_precision.lower(model, high, NOTHING)


@pytest.mark.parametrize("high", ["fp32", "fp16"])
@pytest.mark.parametrize(("kind", "limit"), [("int8", 0.04), ("fp8", 0.1)])
@pytest.mark.parametrize("name", SHAPES)
def test_it_is_valid_and_loses_a_few_percent(
    name: str, kind: str, limit: float, high: str, ranges: dict[str, dict[str, float]]
) -> None:
    quantized = insert_qdq(_surrounded(name, high), kind, ranges[name], NOTHING)
    onnx.checker.check_model(quantized, full_check=True)
    assert 1e-4 < error_of(quantized, name) < limit


@pytest.mark.parametrize("high", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("kind", ["int8", "fp8"])
@pytest.mark.parametrize("name", SHAPES)
def test_rtx_builds_it_unless_it_is_a_convolution_in_int8(
    name: str, kind: str, high: str, ranges: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    model = _surrounded(name, high)
    keep = (
        frozenset(node.name for node in model.graph.node if node.op_type == "Conv")
        if kind == "int8"
        else NOTHING
    )
    quantized = insert_qdq(model, kind, ranges[name], keep)
    assert build_on_rtx(quantized, SHAPES[name], tmp_path)


def test_rtx_says_that_it_has_no_convolution_in_int8(
    ranges: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    quantized = insert_qdq(example("residual_cnn"), "int8", ranges["residual_cnn"], NOTHING)
    with pytest.raises(EngineError, match="Myelin"):
        build_on_rtx(quantized, SHAPES["residual_cnn"], tmp_path)


def test_weights_are_stored_in_8_bits_with_a_scale_for_each_channel_and_biases_left_alone() -> None:
    weight = np.array([[1.27, -0.5], [-0.635, 0]], np.float32)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    model = small_model([node], {"w": weight, "b": np.ones(2, np.float32)}, shape=[2, 2])
    quantized = insert_qdq(model, "int8", {"x": 2.54}, NOTHING)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    np.testing.assert_array_equal(tensors["w_int8"], np.array([[127, -64], [-127, 0]], np.int8))
    np.testing.assert_allclose(tensors["w_scale"], [0.01, 0.5 / 127], rtol=1e-6)
    # a vector of one would be no scale of the tensor to TensorRT, which then computes in FP32
    assert tensors["x_scale"].shape == ()
    np.testing.assert_allclose(tensors["x_scale"], 0.02, rtol=1e-6)
    assert "w" not in tensors
    assert quantized.graph.node[-1].input[2] == "b"


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_a_product_reads_its_weight_from_rows_of_an_output_channel(kind: str) -> None:
    weight = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    model = small_model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": weight}, shape=[2, 8])
    quantized = insert_qdq(model, kind, {"x": 3.0}, NOTHING)
    made = {name: node for node in quantized.graph.node for name in node.output}
    turned = made[made["y"].input[1]]
    assert turned.op_type == "Transpose"
    dequantized = made[turned.input[0]]
    assert helper.get_node_attr_value(dequantized, "axis") == 0
    stored = {tensor.name: tuple(tensor.dims) for tensor in quantized.graph.initializer}
    assert [stored[name] for name in dequantized.input[:2]] == [(4, 8), (4,)]
    x = np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)
    assert relative_error(run(quantized, {"x": x}), x @ weight) < 0.1


def test_a_channel_of_zeros_and_a_tensor_of_zeros_stay_so() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = small_model([node], {"w": np.zeros((2, 2), np.float32)}, shape=[2, 2])
    quantized = insert_qdq(model, "fp8", {"x": 0.0}, NOTHING)
    scales = [t for t in quantized.graph.initializer if t.name.endswith("scale")]
    assert all((numpy_helper.to_array(scale) == 1).all() for scale in scales)


def test_a_tensor_that_several_products_read_is_quantized_once() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["x", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = small_model(nodes, {"w": np.eye(4, dtype=np.float32)}, shape=[2, 4])
    quantized = insert_qdq(model, "int8", {"x": 1.0}, NOTHING)
    operators = [node.op_type for node in quantized.graph.node]
    assert operators.count("QuantizeLinear") == 1
    assert operators.count("DequantizeLinear") == 2
    onnx.checker.check_model(quantized, full_check=True)


def test_scales_have_the_type_of_what_surrounds_them_and_kept_nodes_stay_fp32() -> None:
    model = half_precision.lower(example("mlp"), "fp16", frozenset({"Gemm_2"}))
    quantized = insert_qdq(
        model, "int8", {"features": 3.0, "relu_1": 5.0, "relu_3": 5.0}, frozenset({"Gemm_2"})
    )
    scales = {t.data_type for t in quantized.graph.initializer if t.name.endswith("_scale")}
    assert scales == {TensorProto.FLOAT16}
    kept = next(node for node in quantized.graph.node if node.name == "Gemm_2")
    assert kept.input[1] == "weight_2"
    assert error_of(quantized, "mlp") < 0.05


def test_nothing_to_quantize_and_a_missing_range_are_refused() -> None:
    model = example("mlp")
    with pytest.raises(EngineError, match="nothing in this model can be quantized to fp8"):
        insert_qdq(model, "fp8", {}, frozenset(selection.lowerable(model, "fp8")))
    with pytest.raises(EngineError, match="no range is known of the tensor 'features', which int8 needs"):
        insert_qdq(model, "int8", {}, NOTHING)
