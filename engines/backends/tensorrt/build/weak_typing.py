"""The weakly typed networks of TensorRT 10: flags say which types the builder may use, and it chooses.

Any layer may stay in FP32 all the same. Those that must can be named, as constraints on single layers.
TensorRT 11 and TensorRT-RTX have none of this: there, precision lives in the graph.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build.config import set_flag
from engines.core.errors import EngineError
from engines.core.values import Candidate, Dimension, Settings, Value, Workload
from engines.data.calibration import calibration_identity
from engines.graphs.context import GraphContext
from engines.graphs.recipe import kept_nodes, prepared

# the types that each allows, the smallest first; `best` is that of trtexec, which refuses FP8 beside INT8
FLAGS: Mapping[str, tuple[str, ...]] = {
    "weak_fp16": ("FP16",),
    "weak_bf16": ("BF16",),
    "weak_int8": ("INT8",),
    "weak_fp8": ("FP8",),
    "weak_int8_fp16": ("INT8", "FP16"),
    "weak_best": ("INT8", "FP16", "BF16"),
}
CONSTRAINTS = {"obey": "OBEY_PRECISION_CONSTRAINTS", "prefer": "PREFER_PRECISION_CONSTRAINTS"}
QUANTIZED = ("QUANTIZE", "DEQUANTIZE")
# the parser marks each layer with the node that it came from, and fused ones with several
MARK, SEPARATOR = "[ONNX Layer: ", "\x1f"


def choices(vendor: Vendor, lacking: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The weakly typed precisions of this version; none of a type that the GPU is `lacking`."""
    out = excluded(vendor, lacking)
    return tuple(name for name in FLAGS if name not in out)


def excluded(vendor: Vendor, lacking: Mapping[str, str] | None = None) -> dict[str, str]:
    """Why the others are not offered; `lacking` says it of types, such as fp8."""
    said = {
        name: [reason(vendor) or _missing(vendor, flag, lacking or {}) for flag in needed]
        for name, needed in FLAGS.items()
    }
    return {name: next(filter(None, reasons)) for name, reasons in said.items() if any(reasons)}


def reason(vendor: Vendor) -> str:
    """Why this version has no weakly typed networks; empty when it has."""
    strong = "STRONGLY_TYPED" in vendor.members("NetworkDefinitionCreationFlag")
    # TensorRT-RTX 1.4 still has the names, though not the calibrators
    if strong and "FP16" in vendor.members("BuilderFlag") and not vendor.is_rtx:
        return ""
    version = "TensorRT-RTX" if vendor.is_rtx else f"TensorRT {vendor.major}"
    return f"{version} has no weakly typed networks; precision lives in the graph"


def dimensions(vendor: Vendor) -> list[Dimension]:
    """How hard layers that are kept in FP32 are held to it; nothing where all networks are strongly typed."""
    offered = choices(vendor)
    if not offered:
        return []
    about = "layers kept in FP32 in a weakly typed network: obeyed, or preferred where it is possible"
    names = tuple(CONSTRAINTS)
    applies_to = {"precision": offered}
    return [Dimension("precision_constraints", "build", names, names[0], about, applies_to=applies_to)]


def is_weak(precision: Value) -> bool:
    return precision in FLAGS


def asked(precision: str) -> str:
    """The smallest type that a precision allows; the precision itself where it is not weakly typed."""
    return FLAGS[precision][0].lower() if is_weak(precision) else precision


def key(workload: Workload, settings: Settings) -> list[object]:
    """What decides a weakly typed engine beyond its graph; nothing for others."""
    if not is_weak(settings["precision"]):
        return []
    return [settings, workload.keep_fp32, calibration_identity(workload)]


@contextmanager
def quietly() -> Iterator[None]:
    """All of this is deprecated since TensorRT 10.12, which need not be said each time."""
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        yield


def kept(context: GraphContext) -> frozenset[str]:
    """The nodes that stay in FP32, as they would in a graph that is lowered."""
    return kept_nodes(context, prepared(context)) if context.keeps_some else frozenset()


def allow(
    vendor: Vendor, network: Any, config: Any, candidate: Candidate, keep: frozenset[str]
) -> dict[str, Value]:
    """Lets the builder use the candidate's types, but not for the nodes to keep; gives facts.

    Raises EngineError for what the builder does not take.
    """
    for flag in FLAGS[str(candidate.graph["precision"])]:
        _require_flag(vendor, config, flag)
    if not keep:
        return {"typing": "weak"}
    how = str(candidate.build["precision_constraints"])
    return {"typing": "weak", "fp32_layers": constrain(vendor, network, config, keep, how)}


def constrain(vendor: Vendor, network: Any, config: Any, keep: frozenset[str], how: str) -> int:
    """Keeps the layers of these ONNX nodes in FP32, obeyed or preferred; how many layers that are.

    Nodes that compute no floats have no such layer. Raises EngineError when none of them has.
    """
    if not keep:
        return 0
    _require_flag(vendor, config, CONSTRAINTS[how])
    kept = sum(_keep(vendor, layer) for layer in layers(network) if keep & nodes_of(layer))
    if not kept:
        raise EngineError(f"none of the {len(keep)} nodes to keep in FP32 is a layer of the network")
    return kept


def calibrates(vendor: Vendor, network: Any, settings: Settings) -> bool:
    """Whether ranges must be found: INT8 is allowed, and the network does not bring them as Q/DQ."""
    types = [vendor.member("LayerType", name) for name in QUANTIZED]
    flags = FLAGS[str(settings["precision"])]
    return "INT8" in flags and not any(layer.type in types for layer in layers(network))


def layers(network: Any) -> list[Any]:
    return [network.get_layer(index) for index in range(network.num_layers)]


def outputs(layer: Any) -> list[Any]:
    return [layer.get_output(index) for index in range(layer.num_outputs)]


def nodes_of(layer: Any) -> set[str]:
    """The ONNX nodes that a layer came from; a layer has the name of its first, or one made of it."""
    marks = str(layer.metadata).split(SEPARATOR)
    return {layer.name, *(mark[len(MARK) : -1] for mark in marks if mark.startswith(MARK))}


def _missing(vendor: Vendor, flag: str, lacking: Mapping[str, str]) -> str:
    if flag not in vendor.members("BuilderFlag"):
        return f"this version of TensorRT has no builder flag {flag}"
    return lacking.get(flag.lower(), "")


def _keep(vendor: Vendor, layer: Any) -> bool:
    """Whether the layer computes floats, which are then FP32; shapes and indices are left alone."""
    single = vendor.member("DataType", "FLOAT")
    floats = [
        index for index, of in enumerate(outputs(layer)) if of.dtype == single and not of.is_shape_tensor
    ]
    if not floats:
        return False
    layer.precision = single
    for index in floats:
        layer.set_output_type(index, single)
    if layer.precision != single:
        raise EngineError(f"the builder does not keep {layer.name!r} in FP32")
    return True


def _require_flag(vendor: Vendor, config: Any, flag: str) -> None:
    if not set_flag(config, vendor.member("BuilderFlag", flag), wanted=True):
        raise EngineError(f"the builder does not take the flag {flag}")
