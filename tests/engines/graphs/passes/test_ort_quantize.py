import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from engines.core.errors import EngineError
from engines.core.values import Tensors
from engines.graphs.passes.ort_quantize import quantize_int8
from engines.models import onnx_files
from tests.engines.graphs.running import SHAPES, error_of, example, inputs, small_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NOTHING: frozenset[str] = frozenset()


def _quantized(
    name: str, folder: Path, method: str = "minmax", keep: frozenset[str] = NOTHING
) -> onnx.ModelProto:
    onnx_files.save(example(name), folder / "model.onnx")
    batches = (inputs(name, seed) for seed in range(1, 17))
    quantize_int8(folder / "model.onnx", batches, folder / "q.onnx", method, keep)
    return onnx.load(folder / "q.onnx")


@pytest.mark.parametrize("name", SHAPES)
def test_it_loses_a_few_percent(name: str, tmp_path: Path) -> None:
    quantized = _quantized(name, tmp_path)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in quantized.graph.node}
    assert 1e-4 < error_of(quantized, name) < 0.05
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "q.onnx"}


def test_each_method_makes_another_graph(tmp_path: Path) -> None:
    made = [_quantized("mlp", tmp_path, method) for method in ("minmax", "entropy", "percentile")]
    assert len({one.SerializeToString(deterministic=True) for one in made}) == 3


def test_kept_nodes_read_what_they_read_before(tmp_path: Path) -> None:
    quantized = _quantized("mlp", tmp_path, keep=frozenset({"Gemm_2"}))
    kept, other = (
        next(node for node in quantized.graph.node if node.name == name) for name in ("Gemm_2", "Gemm_0")
    )
    assert kept.input[1] == "weight_2"
    assert other.input[1] != "weight_0"


def test_a_product_that_was_fused_is_kept_by_its_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["y"])]
    model = small_model(nodes, {"w": np.eye(4, dtype=np.float32), "b": np.ones(4, np.float32)}, shape=[2, 4])
    onnx_files.save(model, tmp_path / "model.onnx")
    batches: list[Tensors] = [{"x": np.ones((2, 4), np.float32)}]
    with pytest.raises(EngineError, match="nothing in this model can be quantized to int8"):
        quantize_int8(
            tmp_path / "model.onnx", batches, tmp_path / "q.onnx", "minmax", frozenset({"MatMul_0"})
        )


def test_it_prints_and_logs_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    level = logging.getLogger().level
    _quantized("mlp", tmp_path, "entropy")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert logging.getLogger().level == level
