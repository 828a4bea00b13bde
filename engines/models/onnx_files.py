"""Read and write ONNX models, name their nodes, and infer types and shapes of their tensors."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from engines.core.errors import EngineError
from engines.models.walk import tensors_of
from engines.models.weights import size_bytes

# a protobuf is limited to 2 GB, so the weights go to an external file well before that
EXTERNAL_WEIGHTS_BYTES = 1_000_000_000
FIRST_IR_OF_WEIGHTS_ALONE = 4
# shape inference needs the values of small tensors, such as the shape input of a Reshape
SMALL_ELEMENTS = 1024

# element type, and dimensions (None for an unknown one); None instead of dimensions if the rank is unknown
TypeInfo = tuple[int, tuple[int | str | None, ...] | None]


def load(path: Path) -> ModelProto:
    """Return the model with its external weights; raises EngineError if it cannot be read.

    Weights that are also listed as inputs, as in the first versions of ONNX, are removed from the inputs.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf, onnx and the system raise different ones
        raise EngineError(f"cannot read the graph {path.name}: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    replace(model.graph.input, [value for value in model.graph.input if value.name not in weights])
    model.ir_version = max(model.ir_version, FIRST_IR_OF_WEIGHTS_ALONE)
    return model


def save(model: ModelProto, path: Path) -> None:
    """Write the model, the same bytes for the same model; large weights go to an external file."""
    if is_large(model):
        onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        path.write_bytes(model.SerializeToString(deterministic=True))


def is_large(model: ModelProto) -> bool:
    """Return whether the weights, in memory or not, are too large for one file."""
    return sum(size_bytes(tensor) for tensor in model.graph.initializer) > EXTERNAL_WEIGHTS_BYTES


def has_external_weights(path: Path) -> bool:
    """Return whether the model has external weights."""
    model = onnx.load(path, load_external_data=False)
    return any(tensor.data_location == TensorProto.EXTERNAL for tensor in tensors_of(model))


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """Yield the nodes in the order in which they run, each before those of its subgraphs."""
    for node in graph.node:
        yield node
        for subgraph in _subgraphs(node):
            yield from nodes_of(subgraph)


def name_nodes(model: ModelProto) -> None:
    """Name each node without a unique name OPTYPE_INDEX, in place."""
    nodes = list(nodes_of(model.graph))
    given = {node.name for node in nodes}
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if not node.name or node.name in seen:
            node.name = free_name(f"{node.op_type}_{index}", given)
        seen.add(node.name)


def infer_shapes(model: ModelProto) -> dict[str, TypeInfo]:
    """Return type and shape of the tensors outside subgraphs, including weights and inputs, by name."""
    skeleton = without_large_weights(model)
    with contextlib.suppress(Exception):  # without it, the types and shapes in the file are used
        skeleton = onnx.shape_inference.infer_shapes(skeleton, data_prop=True)
    graph = skeleton.graph
    known: dict[str, TypeInfo] = {}
    for tensor in graph.initializer:
        known[tensor.name] = tensor.data_type, tuple(tensor.dims)
    for value in (*graph.value_info, *graph.input, *graph.output):
        if value.type.tensor_type.elem_type:
            known.setdefault(value.name, _type_info(value))
    return known


def without_large_weights(model: ModelProto) -> ModelProto:
    """Return the graph with large weights as inputs, so that shape inference need not copy them."""
    skeleton = ModelProto(ir_version=model.ir_version)
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    for field in ("node", "input", "output", "value_info"):
        getattr(skeleton.graph, field).extend(getattr(model.graph, field))
    skeleton.graph.name = model.graph.name
    inputs = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL_ELEMENTS:
            skeleton.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            skeleton.graph.input.append(value)
    return skeleton


def constants(graph: GraphProto) -> dict[str, TensorProto]:
    """Return the constant tensors by name: initializers, and the tensors in Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t
    return found


def copy_of(model: ModelProto) -> ModelProto:
    """Return a copy that may be changed."""
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def replace(field: Any, values: Iterable[Any]) -> None:
    """Replace the values of a repeated field of a graph."""
    held = list(values)
    del field[:]
    field.extend(held)


def free_name(wanted: str, taken: set[str]) -> str:
    """Return the wanted name, with a number if it is taken, and add it to `taken`."""
    name, copy = wanted, 1
    while name in taken:
        name, copy = f"{wanted}_{copy}", copy + 1
    taken.add(name)
    return name


def names_of(graph: GraphProto) -> set[str]:
    """Return the names of all nodes and tensors, including those of subgraphs."""
    nodes = list(nodes_of(graph))
    tensors = {name for node in nodes for name in (*node.input, *node.output)}
    values = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return tensors | values | {node.name for node in nodes}


def captured(graph: GraphProto) -> set[str]:
    """Return the names that subgraphs read, including those of their own tensors."""
    return {
        name
        for node in graph.node
        for subgraph in _subgraphs(node)
        for name in (
            *(name for inner in nodes_of(subgraph) for name in inner.input),
            *(value.name for value in subgraph.output),
        )
    }


def drop_unread(graph: GraphProto) -> None:
    """Remove the initializers that nothing reads, in place."""
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    read |= captured(graph)
    replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])


def _subgraphs(node: NodeProto) -> list[GraphProto]:
    return [
        subgraph
        for attribute in node.attribute
        for subgraph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else []))
    ]


def _type_info(value: onnx.ValueInfoProto) -> TypeInfo:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return tensor.elem_type, None
    return tensor.elem_type, tuple(_dimension(dimension) for dimension in tensor.shape.dim)


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> int | str | None:
    return dimension.dim_value if dimension.HasField("dim_value") else dimension.dim_param or None


# the oldest version of the file format that an opset may have
FORMATS = {13: 7, 19: 9, 21: 10}


def raised(model: ModelProto, opset: int) -> ModelProto:
    """Return a copy of the model at this opset or a higher one; raises EngineError if a node has none."""
    own = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), opset)
    copy = copy_of(model)
    if own < opset:
        # the converter copies the model, 2 GB at most, so it gets one without large weights
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
    """Take all that the converter may have changed; the large weights stay as they are."""
    large = [tensor for tensor in copy.graph.initializer if tensor.name not in seen]
    replace(copy.graph.initializer, [*converted.graph.initializer, *large])
    replace(copy.graph.node, converted.graph.node)
    replace(copy.opset_import, converted.opset_import)
