"""Find integer inputs that index a table, and its number of rows, so that random indices are valid.

Indices are followed from the input through operators that only move them. An input that enters arithmetic
before it indexes is not followed, nor is a computed table.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from engines.models.walk import subgraphs_of

# the positions of the table and the indices among the inputs of each operator that looks up
_LOOK_UPS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "Gather": ((0, 1),),
    "GatherElements": ((0, 1),),
    "GatherND": ((0, 1),),
    "EmbedLayerNormalization": ((2, 0), (4, 1)),
}
# the positions of the values among the inputs of each operator that only moves them; None is all inputs
_MOVES: Mapping[str, tuple[int, ...] | None] = {
    **dict.fromkeys(("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"), (0,)),
    **dict.fromkeys(("Slice", "Split", "Expand", "Tile", "Gather", "GatherElements", "GatherND"), (0,)),
    "Concat": None,
    "Where": (1, 2),
}
# a table may be stored in another type than it is used in
_KEEPS_TABLE = ("Cast", "Identity", "DequantizeLinear", "QuantizeLinear")

_Function = tuple[str, str]


@dataclass
class _Scope:
    """The values seen so far: the inputs that they come from, and the shapes of tables."""

    origins: dict[str, frozenset[str]] = field(default_factory=dict)
    tables: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last_dims: dict[str, int] = field(default_factory=dict)


def index_limits(model: onnx.ModelProto, inputs: Iterable[str]) -> dict[str, int]:
    """Return the rows of the smallest table that each input indexes; inputs that index none are left out."""
    scope = _Scope(origins={name: frozenset([name]) for name in inputs})
    scope.last_dims = _last_dims(model.graph)
    _add_tables(scope, model.graph.initializer)
    functions = {(function.domain, function.name): function for function in model.functions}
    limits: dict[str, int] = {}
    for name, rows in _look_ups(model.graph.node, scope, functions):
        limits[name] = min(rows, limits.get(name, rows))
    return limits


def _look_ups(
    nodes: Sequence[onnx.NodeProto], scope: _Scope, functions: Mapping[_Function, onnx.FunctionProto]
) -> Iterator[tuple[str, int]]:
    for node in nodes:
        for table, indices in _LOOK_UPS.get(node.op_type, ()):
            rows = _rows(node, _at(node, table), _at(node, indices), scope)
            for name in scope.origins.get(_at(node, indices), ()) if rows else ():
                yield name, rows
        _follow(node, scope)
        for graph in subgraphs_of(node):
            # names are unique over a graph and its subgraphs, so one scope is enough for all
            _add_tables(scope, graph.initializer)
            yield from _look_ups(graph.node, scope, functions)
        function = functions.get((node.domain, node.op_type))
        if function is not None:
            yield from _in_function(node, function, scope, functions)


def _in_function(
    node: onnx.NodeProto,
    function: onnx.FunctionProto,
    scope: _Scope,
    functions: Mapping[_Function, onnx.FunctionProto],
) -> Iterator[tuple[str, int]]:
    inner = _Scope()
    for formal, actual in zip(function.input, node.input, strict=False):
        _copy(scope, actual, inner, formal)
    yield from _look_ups(function.node, inner, functions)
    for formal, actual in zip(function.output, node.output, strict=False):
        _copy(inner, formal, scope, actual)


def _copy(source: _Scope, name: str, target: _Scope, as_name: str) -> None:
    if name in source.origins:
        target.origins[as_name] = source.origins[name]
    if name in source.tables:
        target.tables[as_name] = source.tables[name]
    if name in source.last_dims:
        target.last_dims[as_name] = source.last_dims[name]


def _follow(node: onnx.NodeProto, scope: _Scope) -> None:
    if node.op_type == "Constant":
        for attribute in node.attribute:
            if attribute.HasField("t"):
                scope.tables[node.output[0]] = tuple(attribute.t.dims)
    if node.op_type in _KEEPS_TABLE and _at(node, 0) in scope.tables:
        scope.tables[node.output[0]] = scope.tables[node.input[0]]
    if node.op_type in _MOVES:
        places = _MOVES[node.op_type] or range(len(node.input))
        moved = frozenset().union(*(scope.origins.get(_at(node, place), frozenset()) for place in places))
        if moved:
            scope.origins.update(dict.fromkeys(node.output, moved))


def _rows(node: onnx.NodeProto, table: str, indices: str, scope: _Scope) -> int:
    """Return the rows along the indexed axis; 0 if the table is not a constant."""
    shape = scope.tables.get(table, ())
    if node.op_type == "GatherND":
        first = _attribute(node, "batch_dims")
        # a coordinate has as many parts as the last dimension of the indices; one when nobody says
        return min(shape[first : first + scope.last_dims.get(indices, 1)], default=0)
    axis = _attribute(node, "axis")
    return shape[axis] if -len(shape) <= axis < len(shape) else 0


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), 0)


def _at(node: onnx.NodeProto, place: int) -> str:
    return str(node.input[place]) if place < len(node.input) else ""


def _add_tables(scope: _Scope, tensors: Iterable[onnx.TensorProto]) -> None:
    scope.tables.update((tensor.name, tuple(tensor.dims)) for tensor in tensors)


def _last_dims(graph: onnx.GraphProto) -> dict[str, int]:
    shapes = ((value.name, value.type.tensor_type.shape.dim) for value in (*graph.input, *graph.value_info))
    return {name: dims[-1].dim_value for name, dims in shapes if dims and dims[-1].dim_value > 0}
