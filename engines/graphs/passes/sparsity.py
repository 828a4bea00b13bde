"""Detect weights with 2:4 structured sparsity: at least two zeros in every four that are multiplied and
summed.

TensorRT asks for them along the input channels of a Conv and the reduced dimension of a product, with a
multiple of four: docs.nvidia.com/deeplearning/tensorrt, "Structured Sparsity".
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.models import onnx_files

GROUP, ZEROS = 4, 2
# weights have the pattern by design or not at all; embeddings and heads may outnumber the pruned ones
LEAST_SHARE = 0.1
# operators that keep zeros
_KEEP_ZEROS = frozenset({"Cast", "DequantizeLinear", "Identity", "QuantizeLinear"})


def is_sparse(path: Path) -> bool:
    """Return whether enough weights in the file have the structure for sparse kernels to matter."""
    return structured_share(onnx_files.load(path)) >= LEAST_SHARE


def structured_share(model: ModelProto) -> float:
    """Return the share of the weights of Conv and products, by count, that have the structure."""
    weights = onnx_files.constants(model.graph)
    makers = {name: node for node in model.graph.node for name in node.output}
    places = {place for node in model.graph.node for place in _places(node, weights, makers)}
    total = structured = 0
    for name, axis in places:
        size = int(np.prod(weights[name].dims))
        total += size
        structured += size if _is_structured(weights[name], axis) else 0
    return structured / total if total else 0.0


def _places(
    node: NodeProto, weights: Mapping[str, TensorProto], makers: Mapping[str, NodeProto]
) -> Iterator[tuple[str, int]]:
    """Return the weights of a node and the axis of each that is summed over, if four fit into it."""
    for index, axis in _summed_axes(node):
        name, axis_there = _source(node.input[index], axis, weights, makers)
        tensor = weights.get(name)
        if tensor is None or not -len(tensor.dims) <= axis_there < len(tensor.dims):
            continue
        if len(tensor.dims) >= 2 and tensor.dims[axis_there] % GROUP == 0:
            yield name, axis_there % len(tensor.dims)


def _summed_axes(node: NodeProto) -> tuple[tuple[int, int], ...]:
    """Return the inputs that may be weights, and their axes; from the end if the number of axes varies."""
    if node.op_type == "Conv":
        return ((1, 1),)
    if node.op_type == "MatMul":
        return ((0, -1), (1, -2))
    if node.op_type == "Gemm":
        return (
            (0, 0 if _attribute(node, "transA", 0) else 1),
            (1, 1 if _attribute(node, "transB", 0) else 0),
        )
    return ()


def _source(
    name: str, axis: int, weights: Mapping[str, TensorProto], makers: Mapping[str, NodeProto]
) -> tuple[str, int]:
    """Return the weight that a tensor is made from, and its axis there; the tensor itself if there is
    none.
    """
    while name not in weights and name in makers:
        maker = makers[name]
        order = _attribute(maker, "perm", None) if maker.op_type == "Transpose" else None
        if order:
            axis = order[axis]
        elif maker.op_type not in _KEEP_ZEROS:
            break
        name = maker.input[0]
    return name, axis


def _is_structured(tensor: TensorProto, axis: int) -> bool:
    values = numpy_helper.to_array(tensor)
    zero = np.asarray(values == 0)
    if 2 * np.count_nonzero(zero) < zero.size:
        return False
    before, after = zero.shape[:axis], zero.shape[axis + 1 :]
    groups: NDArray[Any] = zero.reshape(*before, -1, GROUP, *after)
    return bool((groups.sum(axis=axis + 1, dtype=np.uint8) >= ZEROS).all())


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)
