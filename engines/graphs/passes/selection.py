"""Select where a graph loses precision: node inputs to quantize, and nodes whose numbers change."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from onnx import ModelProto, NodeProto, TensorProto, helper

from engines.models.onnx_files import TypeInfo, constants, infer_shapes

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
# operators whose first two inputs are multiplied
PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# values along the reduced axis of a weight that may share a scale in TensorRT, the cheapest first
INT4_BLOCKS = (128, 64)
# fmt: off
# operators that do not change values
ONLY_MOVES = frozenset({
    "Cast", "CastLike", "Concat", "Constant", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements",
    "GatherND", "Identity", "NonZero", "OneHot", "Pad", "Reshape", "ReverseSequence", "ScatterElements",
    "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Unsqueeze", "Where",
})
# operators without 16-bit types in ONNX, without a gain from them, or with subgraphs or sequences
STAYS_FP32 = frozenset({
    "Bernoulli", "ConcatFromSequence", "ConstantOfShape", "CumSum", "DequantizeLinear",
    "DynamicQuantizeLinear", "EyeLike", "If", "Loop", "NonMaxSuppression", "Optional", "OptionalGetElement",
    "QuantizeLinear", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Range",
    "RoiAlign", "Scan", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceMap",
    "SplitToSequence", "TopK", "Upsample",
})
# fmt: on


@dataclass(frozen=True)
class Site:
    """An input of a node, by index, and the tensor there.

    `axis` is the output channel of a weight; None for activations, and for weights of one scale.
    """

    node: str
    operator: str
    index: int
    tensor: str
    is_weight: bool
    axis: int | None


def sites(model: ModelProto, precision: str) -> tuple[Site, ...]:
    """Return the inputs that int8 and fp8 (of products), or int4 (weights of two dimensions) quantize.

    Nodes must have names. Inputs that arrived quantized are left out.
    """
    known, weights = infer_shapes(model), constants(model.graph)
    quantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    found = (
        site
        for node in model.graph.node
        if node.op_type in PRODUCTS and not set(node.input[:2]) <= weights.keys()
        for site in _inputs(node, weights)
        if known.get(site.tensor, (TensorProto.FLOAT, None))[0] in FLOATS and site.tensor not in quantized
    )
    return tuple(site for site in found if precision != "int4" or _has_blocks(site, weights))


def lowerable(model: ModelProto, precision: str) -> tuple[str, ...]:
    """Return the nodes whose numbers change in the precision, in execution order."""
    if precision not in ("fp16", "bf16"):
        return tuple(dict.fromkeys(site.node for site in sites(model, precision)))
    known = infer_shapes(model)
    return tuple(
        node.name for node in model.graph.node if node.op_type not in ONLY_MOVES and has_half(node, known)
    )


def has_half(node: NodeProto, known: Mapping[str, TypeInfo]) -> bool:
    """Return whether a node reads or writes FP32 and could do so in 16 bits; False for unknown types."""
    types = {
        known.get(name, (TensorProto.UNDEFINED, None))[0] for name in (*node.input, *node.output) if name
    }
    standard = node.domain in ("", "ai.onnx") and node.op_type not in STAYS_FP32
    return standard and TensorProto.FLOAT in types and TensorProto.UNDEFINED not in types


def int4_block(site: Site, weight: TensorProto) -> int:
    """Return how many values along the reduced axis of a weight share a scale; 0 if no block fits."""
    if not site.is_weight or site.index != 1 or len(weight.dims) != 2 or site.axis is None:
        return 0
    return next((block for block in INT4_BLOCKS if weight.dims[1 - site.axis] % block == 0), 0)


def _has_blocks(site: Site, weights: Mapping[str, TensorProto]) -> bool:
    return (
        site.operator in ("Gemm", "MatMul") and site.is_weight and int4_block(site, weights[site.tensor]) > 0
    )


def _inputs(node: NodeProto, weights: Mapping[str, TensorProto]) -> Iterator[Site]:
    for index, tensor in enumerate(node.input[:2]):
        weight = weights.get(tensor)
        axis = None if weight is None else _channel_axis(node, index, weight)
        yield Site(node.name, node.op_type, index, tensor, weight is not None, axis)


def _channel_axis(node: NodeProto, index: int, weight: TensorProto) -> int | None:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if index != 1 or len(weight.dims) < 2:
        return None
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        # the channels of all groups share this axis
        return 1 if attributes.get("group", 1) == 1 else None
    if node.op_type == "Gemm":
        return 0 if attributes.get("transB", 0) else 1
    return 1 if len(weight.dims) == 2 else None


def matching(model: ModelProto, patterns: Sequence[str]) -> frozenset[str]:
    """Return the names of the nodes whose name or operator matches any of the patterns; subgraphs are left
    out.

    A pattern is written as for files, with *, ? and [...]; a name or operator as it is matches too.
    """
    return frozenset(
        node.name for node in model.graph.node if any(_matches(node, pattern) for pattern in patterns)
    )


def unmatched(model: ModelProto, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns that match no node."""
    return tuple(pattern for pattern in patterns if not matching(model, [pattern]))


def _matches(node: NodeProto, pattern: str) -> bool:
    # names of nodes may have brackets in them
    return any(text == pattern or fnmatchcase(text, pattern) for text in (node.name, node.op_type))
