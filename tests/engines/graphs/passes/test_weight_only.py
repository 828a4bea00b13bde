from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.core.errors import EngineError
from engines.graphs.passes import half_precision, selection
from engines.graphs.passes.weight_only import quantize_int4
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


@pytest.mark.parametrize("high", ["fp32", "fp16"])
@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_it_is_valid_runs_on_the_cpu_and_builds_on_rtx(name: str, high: str, tmp_path: Path) -> None:
    model = example(name) if high == "fp32" else half_precision.lower(example(name), high, NOTHING)
    quantized = quantize_int4(model, NOTHING)
    onnx.checker.check_model(quantized, full_check=True)
    # weights of random numbers are the worst case
    assert 0.01 < error_of(quantized, name) < 0.3
    assert build_on_rtx(quantized, SHAPES[name], tmp_path)


@pytest.mark.parametrize("turned", [False, True])
def test_each_block_along_the_sum_has_its_own_scale(turned: bool) -> None:
    weight = np.repeat(np.array([[7, 14], [-0.7, 70]], np.float32), 128, axis=0)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=int(turned))
    model = small_model([node], {"w": weight.T.copy() if turned else weight}, shape=[2, 256])
    quantized = quantize_int4(model, NOTHING)
    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    assert tensors["w_int4"].data_type == TensorProto.INT4
    scale = numpy_helper.to_array(tensors["w_scale"])
    np.testing.assert_allclose(scale.T if turned else scale, np.array([[1, 2], [0.1, 10]]), rtol=1e-6)
    feeds = {"x": np.random.default_rng(0).normal(size=(2, 256)).astype(np.float32)}
    assert relative_error(run(quantized, feeds), run(model, feeds)) < 1e-5


def test_an_outlier_is_cut_off_where_the_others_gain_by_it() -> None:
    weight = np.full((128, 1), 0.95 * 3 / 7, np.float32)
    weight[0] = 1.0
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    quantized = quantize_int4(small_model([node], {"w": weight}, shape=[1, 128]), NOTHING)
    scale = next(tensor for tensor in quantized.graph.initializer if tensor.name == "w_scale")
    np.testing.assert_allclose(numpy_helper.to_array(scale), [[0.95 / 7]], rtol=1e-6)


def test_kept_nodes_have_their_weights_as_they_were_and_one_must_be_left() -> None:
    model = example("mlp")
    tensors = {tensor.name for tensor in quantize_int4(model, frozenset({"Gemm_2"})).graph.initializer}
    assert "weight_2" in tensors
    assert "weight_0" not in tensors
    with pytest.raises(EngineError, match="nothing in this model can be quantized to int4"):
        quantize_int4(model, frozenset(selection.lowerable(model, "int4")))
