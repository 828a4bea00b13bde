"""Detect models that are in a lower precision than FP32 already; they are not lowered further."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from engines.core.values import ModelFacts

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

# quantization operators of the standard and of ONNX Runtime, and the plugins that ModelOpt writes
_QUANTIZED = re.compile(
    r"QLinear\w+|QGemm|QAttention|QMoE|QOrdered\w+|QEmbed\w+|DynamicQuantize\w+|\w+Integer(ToFloat)?"
    r"|\w*(Quantize|Dequantize)Linear|\w*NBits|MatMulBnb4|\w*BlockQuantized|TRT_\w*(Quantize|Dequantize)\w*"
)
_HALVES = {"FLOAT16": "fp16", "BFLOAT16": "bf16"}
_FLOATS = ("FLOAT", "DOUBLE", *_HALVES)
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def arrived_as(facts: ModelFacts, path: Path) -> str | None:
    """Return quantized, or fp16 or bf16 if most of the weights are, by bytes; None for FP32.

    Only weights of matrix products and convolutions count if there are any: tables are often left in FP32.
    """
    if any(_QUANTIZED.fullmatch(name.rpartition("::")[2]) for name in facts.operators):
        return "quantized"
    sizes = _weight_bytes(path)
    half = max(_HALVES, key=lambda name: sizes[name])
    return _HALVES[half] if sizes[half] > sizes.total() / 2 else None


def _weight_bytes(path: Path) -> Counter[str]:
    """Return the bytes of floating-point weights, by ONNX's name of their type."""
    import onnx

    from engines.models import weights

    sizes: Counter[str] = Counter()
    for tensor in _weights(onnx.load(path, load_external_data=False)):
        name = onnx.TensorProto.DataType.Name(tensor.data_type)
        if name in _FLOATS:
            sizes[name] += weights.size_bytes(tensor)
    return sizes


def _weights(model: "ModelProto") -> "list[TensorProto]":
    from engines.models import onnx_files, walk

    tensors = [one for graph in walk.graphs_of(model) for one in onnx_files.constants(graph).items()]
    products = [node for node in walk.nodes_of(model) if node.op_type in _PRODUCTS]
    multiplied = {name for node in products for name in node.input[:2]}
    return [tensor for name, tensor in tensors if name in multiplied] or [tensor for _, tensor in tensors]
