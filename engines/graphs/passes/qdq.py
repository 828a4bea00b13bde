"""Insert Q/DQ pairs for INT8 and FP8 as TensorRT reads them: only on the inputs of products.

Symmetric: one scale for an activation, one for each output channel of a weight. Weights are stored quantized,
those of products by rows of an output channel, as PyTorch has them, which makes TensorRT-RTX up to 1.5 times
faster. Biases and sums are left alone. ONNX Runtime's quantizer serves its own CPU (see `cpu_quantizer`): its
FP8 is wrong by more than the outputs themselves.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from engines.core.errors import EngineError
from engines.graphs.passes.insertion import Insertion, scale_of
from engines.graphs.passes.selection import Site, sites
from engines.models.onnx_files import TypeInfo, infer_shapes, raised

# the largest value of each type; -128 is not used, so that ranges are symmetric
LARGEST = {"int8": 127.0, "fp8": 448.0}
# scales for each channel came with opset 13; FP8, and scales in 16 bits, with opset 19
OPSETS = {"int8": 13, "fp8": 19}
OPSET_OF_HALVES = 19
HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}


def insert_qdq(model: ModelProto, kind: str, amax: Mapping[str, float], keep: frozenset[str]) -> ModelProto:
    """Return the model with int8 or fp8 at the `sites`, except for the nodes in `keep`.

    `amax` is the range of each activation, by its name in the FP32 model: this one, or the one that
    `lowering` made this of. Raises EngineError when nothing is left to quantize or a range is missing.
    """
    halves = any(tensor.data_type in HALVES for tensor in model.graph.initializer)
    quantized = raised(model, OPSET_OF_HALVES if halves else OPSETS[kind])
    found = [site for site in sites(quantized, kind) if site.node not in keep]
    if not found:
        raise EngineError(f"nothing in this model can be quantized to {kind}")
    insertion, ranges, known = Insertion(quantized), _ranges(quantized, amax), infer_shapes(quantized)
    for site in found:
        if insertion.made(site):
            insertion.connect(site)
        elif site.is_weight:
            insertion.connect(site, _weight(insertion, site, kind))
        else:
            insertion.connect(site, _activation(insertion, site, kind, ranges, known))
    insertion.finish()
    return quantized


def _ranges(model: ModelProto, amax: Mapping[str, float]) -> dict[str, float]:
    """Return the ranges of tensors, including cast ones."""
    ranges = dict(amax)
    for node in model.graph.node:
        if node.op_type == "Cast":
            source, cast = node.input[0], node.output[0]
            if source in ranges:
                ranges.setdefault(cast, ranges[source])
            elif cast in ranges:
                ranges[source] = ranges[cast]
    return ranges


def _activation(
    insertion: Insertion, site: Site, kind: str, ranges: Mapping[str, float], known: Mapping[str, TypeInfo]
) -> str:
    amax = ranges.get(site.tensor, math.nan)
    if not math.isfinite(amax):
        raise EngineError(f"no range is known of the tensor {site.tensor!r}, which {kind} needs")
    dtype = _dtype(known.get(site.tensor, (TensorProto.FLOAT, None))[0])
    scale = scale_of(np.array(amax, np.float32), LARGEST[kind], dtype)
    names = _scale(insertion, site, scale, kind)
    return insertion.node(
        site, "DequantizeLinear", [insertion.node(site, "QuantizeLinear", [site.tensor, *names]), *names]
    )


def _weight(insertion: Insertion, site: Site, kind: str) -> str:
    values, channel = insertion.values(site.tensor), site.axis
    is_turned = values.ndim == 2 and channel == 1
    if is_turned:
        values, channel = values.T, 0
    sizes = np.abs(values.astype(np.float32))
    others = None if channel is None else tuple(axis for axis in range(sizes.ndim) if axis != channel)
    scale = scale_of(sizes.max(axis=others), LARGEST[kind], values.dtype)
    spread = scale.astype(np.float32)
    if others is not None:
        spread = np.expand_dims(spread, others)
    stored = insertion.weight(f"{site.tensor}_{kind}", _quantized(values.astype(np.float32) / spread, kind))
    axis = {} if channel is None else {"axis": channel}
    weight = insertion.node(site, "DequantizeLinear", [stored, *_scale(insertion, site, scale, kind)], **axis)
    return insertion.node(site, "Transpose", [weight], perm=[1, 0]) if is_turned else weight


def _scale(insertion: Insertion, site: Site, scale: NDArray[np.generic], kind: str) -> tuple[str, str]:
    """Return the names of the scale and of the zero point, which gives the type."""
    zero = _quantized(np.zeros(scale.shape, np.float32), kind)
    return insertion.weight(f"{site.tensor}_scale", scale), insertion.weight(f"{site.tensor}_zero", zero)


def _quantized(values: NDArray[np.float32], kind: str) -> NDArray[np.generic]:
    import ml_dtypes

    bounded = np.clip(values, -LARGEST[kind], LARGEST[kind])
    return np.rint(bounded).astype(np.int8) if kind == "int8" else bounded.astype(ml_dtypes.float8_e4m3fn)


def _dtype(element: int) -> np.dtype[Any]:
    import ml_dtypes

    types = {TensorProto.FLOAT16: np.float16, TensorProto.BFLOAT16: ml_dtypes.bfloat16}
    dtype: np.dtype[Any] = np.dtype(types.get(element, np.float32))
    return dtype
