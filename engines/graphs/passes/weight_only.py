"""Quantize the weights of products to INT4, dequantized at their readers; activations do not change.

Symmetric, with a scale for each block of a column. ONNX Runtime's quantizer of this kind needs a package of
its own and sets up logging for the whole process.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from engines.core.errors import EngineError
from engines.graphs.passes.insertion import Insertion, scale_of
from engines.graphs.passes.selection import int4_block, sites
from engines.models.onnx_files import constants, raised

OPSET = 21
# where in a block's range the scale ends: at its largest value, or before it, which then is cut off
CLIPPINGS = (1.0, 0.95, 0.9, 0.85)


def quantize_int4(model: ModelProto, keep: frozenset[str]) -> ModelProto:
    """Return the model with the weights of MatMul and Gemm in blocks of INT4, except the nodes in `keep`.

    Raises EngineError when nothing is left to quantize.
    """
    quantized = raised(model, OPSET)
    found = [site for site in sites(quantized, "int4") if site.node not in keep]
    if not found:
        raise EngineError("nothing in this model can be quantized to int4")
    insertion, weights = Insertion(quantized), constants(quantized.graph)
    for site in found:
        if insertion.made(site) or site.axis is None:
            insertion.connect(site)
            continue
        block, reduced = int4_block(site, weights[site.tensor]), 1 - site.axis
        values, scale = _in_blocks(insertion.values(site.tensor), reduced, block)
        names = [
            insertion.weight(f"{site.tensor}_int4", values),
            insertion.weight(f"{site.tensor}_scale", scale),
        ]
        output = insertion.node(site, "DequantizeLinear", names, axis=reduced, block_size=block)
        insertion.connect(site, output)
    insertion.finish()
    return quantized


def _in_blocks(
    weight: NDArray[np.generic], axis: int, block: int
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the INT4 values and the scales of the blocks along an axis, in the shapes that ONNX requires."""
    import ml_dtypes

    values = weight.astype(np.float32) if axis == 0 else weight.astype(np.float32).T
    blocks = values.reshape(-1, block, values.shape[1])
    scale = _best_scale(blocks, weight.dtype)
    stored = _rounded(blocks, scale).reshape(values.shape).astype(ml_dtypes.int4)
    scale = scale[:, 0]
    return (stored, scale) if axis == 0 else (stored.T, scale.T)


def _best_scale(blocks: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Return the scale with the least squared error for each block."""
    sizes = np.abs(blocks).max(axis=1, keepdims=True)
    scales = np.stack([scale_of(sizes * clipping, 7.0, dtype) for clipping in CLIPPINGS])
    errors = np.stack([_error(blocks, scale) for scale in scales])
    best: NDArray[np.generic] = np.take_along_axis(scales, errors.argmin(axis=0)[None], axis=0)[0]
    return best


def _error(blocks: NDArray[np.float32], scale: NDArray[np.generic]) -> NDArray[np.float32]:
    lost = _rounded(blocks, scale) * scale.astype(np.float32) - blocks
    return np.asarray((lost * lost).sum(axis=1, keepdims=True), np.float32)


def _rounded(blocks: NDArray[np.float32], scale: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.clip(np.rint(blocks / scale.astype(np.float32)), -7, 7)
