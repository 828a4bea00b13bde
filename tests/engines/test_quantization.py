from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from engines.backends.onnxruntime import calibration_inputs
from engines.errors import EngineError
from engines.inputs import make_inputs
from engines.quantization import convert_fp16, quantize_int8
from tests.workloads import example, tiny_conv, workload_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _relative_error(left: Path, right: Path, inputs: dict[str, np.ndarray]) -> float:
    expected, actual = (
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)[0]
        for path in (left, right)
    )
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def test_int8_is_q_dq_around_the_convolution_and_close_to_the_model(tmp_path: Path) -> None:
    workload = workload_of(tiny_conv(tmp_path))
    quantize_int8(Path(workload.model.path), calibration_inputs(workload), tmp_path / "q.onnx", 0)
    operators = [node.op_type for node in onnx.load(tmp_path / "q.onnx").graph.node]
    assert "QuantizeLinear" in operators
    assert "DequantizeLinear" in operators
    inputs = make_inputs(workload, 1)[0]
    assert _relative_error(Path(workload.model.path), tmp_path / "q.onnx", inputs) < 0.05


def test_attention_survives_int8_because_its_mask_is_left_alone(tmp_path: Path) -> None:
    workload = example("transformer", tmp_path, input_ids=(1, 16))
    quantize_int8(Path(workload.model.path), calibration_inputs(workload), tmp_path / "q.onnx", 0)
    inputs = make_inputs(workload, 1)[0]
    assert _relative_error(Path(workload.model.path), tmp_path / "q.onnx", inputs) < 0.08


def test_calibration_sees_more_than_the_samples_that_are_checked(tmp_path: Path) -> None:
    workload = workload_of(tiny_conv(tmp_path))
    batches = [batch["x"].tobytes() for batch in calibration_inputs(workload)]
    assert len(set(batches)) == len(batches) > 4 * len(make_inputs(workload, 1))


def test_fp16_keeps_the_types_of_inputs_and_outputs(tmp_path: Path) -> None:
    model = tiny_conv(tmp_path)
    convert_fp16(model, tmp_path / "h.onnx", 0)
    graph = onnx.load(tmp_path / "h.onnx").graph
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert {tensor.data_type for tensor in graph.initializer} == {TensorProto.FLOAT16}


def test_a_model_without_products_cannot_be_quantized(tmp_path: Path) -> None:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "abs", value[:1], value[1:])
    path = tmp_path / "abs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(EngineError, match="nothing in this model can be quantized"):
        quantize_int8(path, [{"x": np.ones(4, dtype=np.float32)}], tmp_path / "q.onnx", 0)
