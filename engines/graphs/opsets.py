"""Raising a model to the version of ONNX in which what was added to it exists."""

import onnx
from onnx import ModelProto

from engines.errors import EngineError
from engines.graphs.onnx_files import copy_of, replace, without_large_weights

# the first version of the file format that goes with an opset
FORMATS = {13: 7, 19: 9, 21: 10}


def raised(model: ModelProto, opset: int) -> ModelProto:
    """A copy of the model at this opset or a higher one; raises EngineError where nodes cannot follow."""
    own = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), opset)
    copy = copy_of(model)
    if own < opset:
        # the converter sees no large weights, since it copies what it sees, 2 GB at most
        skeleton = without_large_weights(model)
        try:
            converted = onnx.version_converter.convert_version(skeleton, opset)
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(f"the graph cannot be raised from opset {own} to {opset}: {reason}") from error
        _take_nodes(copy, converted, {tensor.name for tensor in skeleton.graph.initializer})
    copy.ir_version = max(copy.ir_version, FORMATS[opset])
    return copy


def _take_nodes(copy: ModelProto, converted: ModelProto, seen: set[str]) -> None:
    """What the converter saw and may have changed; the large weights stay as they are."""
    large = [tensor for tensor in copy.graph.initializer if tensor.name not in seen]
    replace(copy.graph.initializer, [*converted.graph.initializer, *large])
    replace(copy.graph.node, converted.graph.node)
    replace(copy.opset_import, converted.opset_import)
