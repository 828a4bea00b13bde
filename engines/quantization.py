"""Graphs in other precisions than the model's own, made with ONNX Runtime's converters."""

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from engines.values import Tensors

# part of a graph's name: to be raised when the same model would be made into another graph
RECIPE = 1
# protobuf cannot hold more than 2 GB, so the weights go beside the graph well before that
EXTERNAL_WEIGHTS_BYTES = 1_000_000_000


def quantize_int8(model: Path, batches: Iterable[Tensors], file: Path, weight_bytes: int) -> None:
    """Writes the model with Q/DQ pairs around what can be computed in 8 bits, calibrated on the batches.

    Activations are unsigned and weights signed and per channel, which x86 and Arm dot products take.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    external = weight_bytes > EXTERNAL_WEIGHTS_BYTES
    logging.getLogger().setLevel(logging.ERROR)  # it recommends the pre-processing that was just done
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        try:
            shape_inference.quant_pre_process(str(model), str(prepared), save_as_external_data=external)
        except Exception:  # symbolic shape inference gives up on some models that quantize well without it
            shape_inference.quant_pre_process(
                str(model), str(prepared), skip_symbolic_shape=True, save_as_external_data=external
            )
        quantization.quantize_static(
            str(prepared),
            str(file),
            _Calibration(batches),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=_worth_quantizing(prepared),
            use_external_data_format=external,
        )
    _require(file, {"QuantizeLinear", "DequantizeLinear"}, "nothing in this model can be quantized to int8")


def convert_fp16(model: Path, file: Path, weight_bytes: int) -> None:
    """Writes the model with weights and inner tensors in 16 bits; inputs and outputs keep their types."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    converted = convert_float_to_float16(onnx.load(model), keep_io_types=True, disable_shape_infer=False)
    onnx.save(converted, file, save_as_external_data=weight_bytes > EXTERNAL_WEIGHTS_BYTES)
    _require(file, {"Cast"}, "nothing in this model can be converted to fp16")


def _worth_quantizing(model: Path) -> list[str] | None:
    """Operator types to quantize; None for all.

    Convolutional networks need everything between their convolutions in 8 bits to stay there. In others only
    the products are worth it, and sums must be left alone: the mask that attention adds before its softmax
    has a range in which the scores vanish.
    """
    import onnx

    operators = {node.op_type for node in onnx.load(model, load_external_data=False).graph.node}
    return None if "Conv" in operators else ["MatMul", "Gemm"]


def _require(file: Path, operators: set[str], message: str) -> None:
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    if not operators & {node.op_type for node in graph.node}:
        raise EngineError(message)


class _Calibration:
    def __init__(self, batches: Iterable[Tensors]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Any:
        return next(self._batches, None)
