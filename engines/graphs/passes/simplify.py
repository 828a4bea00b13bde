"""Simplify graphs with onnxslim: fold constants and remove dead nodes, with the same outputs."""

import contextlib
import importlib.util
import io
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING

from engines.core.errors import EngineError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

NONE, ONNXSLIM = "none", "onnxslim"
# it fuses MatMul and Add to a Gemm, between two Reshapes if the product has more than two dimensions
SKIPPED = ("FusionGemm",)
INSTALL = "onnxslim is not installed: pip install onnxslim"


def available() -> tuple[str, ...]:
    """Return the ways to simplify that are installed."""
    return (NONE,) if excluded() else (NONE, ONNXSLIM)


def excluded() -> Mapping[str, str]:
    """Return those that are not, and what to do about it."""
    return {} if importlib.util.find_spec("onnxslim") else {ONNXSLIM: INSTALL}


def version(how: str) -> str:
    """Return what decides the result besides the model; empty for none."""
    return metadata.version("onnxslim") if how == ONNXSLIM else ""


def simplify(model: "ModelProto", how: str) -> "ModelProto":
    """Return the simplified model, with the same inputs and outputs and a unique name for every node.

    Raises EngineError for a graph that onnxslim cannot take.
    """
    if how == NONE:
        return model
    from engines.models import onnx_files

    slim = _slim(onnx_files.copy_of(model))
    weights = {tensor.name for tensor in model.graph.initializer}
    onnx_files.replace(slim.graph.input, [one for one in model.graph.input if one.name not in weights])
    # onnxslim replaces their shapes by what it inferred, with symbols of its own
    onnx_files.replace(slim.graph.output, model.graph.output)
    _name_as_before(slim, model)
    onnx_files.name_nodes(slim)
    return slim


def _name_as_before(slim: "ModelProto", model: "ModelProto") -> None:
    """Give fused nodes the name of a node that they replace, since users select nodes by name."""
    makers = {name: node for node in model.graph.node for name in node.output}
    known = {node.name for node in model.graph.node}
    taken = {node.name for node in slim.graph.node}
    for node in slim.graph.node:
        before = "" if node.name in known else _name_before(node, makers, taken)
        if before:
            node.name = before
            taken.add(before)


def _name_before(node: "NodeProto", makers: "Mapping[str, NodeProto]", taken: set[str]) -> str:
    """Return the name of the removed node of this type that led to its output; empty if there is none."""
    maker = makers.get(node.output[0])
    while maker is not None and maker.name not in taken:
        if maker.op_type == node.op_type:
            return str(maker.name)
        maker = makers.get(maker.input[0]) if maker.input else None
    return ""


def _slim(model: "ModelProto") -> "ModelProto":
    if importlib.util.find_spec("onnxslim") is None:
        raise EngineError("the graph cannot be simplified", INSTALL)
    import onnxslim

    from engines.models.ort import one_line

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            slim = onnxslim.slim(model, skip_fusion_patterns=list(SKIPPED))
    except Exception as error:  # its patterns raise many kinds
        raise EngineError(f"onnxslim cannot simplify the graph: {one_line(error)}") from error
    return slim
