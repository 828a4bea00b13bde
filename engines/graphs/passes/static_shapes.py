"""Make dynamic inputs static, and propagate their sizes through the graph."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from onnx import ModelProto, ValueInfoProto

from engines.core.values import ModelFacts, Shape
from engines.models import onnx_files
from engines.shapes.resolve import resolve
from engines.shapes.text import UNNAMED

Dims = tuple[int | str | None, ...]

# how exporters write an unnamed dynamic dimension
_NO_NAMES = ("", "?", "-1", "None")


def check_override(facts: ModelFacts, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the shapes by input; a shape without a name is that of the only input.

    Raises UserError for inputs that the model does not have and shapes that it cannot take.
    """
    ranges, _ = resolve(facts, shapes)
    names = [facts.inputs[0].name if name == UNNAMED else name for name in shapes]
    return {name: ranges[name].optimum for name in names}


def made_static(facts: ModelFacts, shapes: Mapping[str, Shape]) -> ModelFacts:
    """Return the facts of the static model; dimensions of the same name get the same size."""
    sizes = _sizes({one.name: one.shape for one in facts.inputs}, shapes)
    inputs = tuple(
        replace(one, shape=shapes.get(one.name, _filled(one.shape, sizes))) for one in facts.inputs
    )
    outputs = tuple(replace(one, shape=_filled(one.shape, sizes)) for one in facts.outputs)
    return replace(facts, inputs=inputs, outputs=outputs)


def override(model: ModelProto, shapes: Mapping[str, Shape]) -> ModelProto:
    """Return the model with these inputs static, and all shapes that follow from them."""
    static = onnx_files.copy_of(model)
    graph = static.graph
    sizes = _sizes({value.name: _dims(value) for value in graph.input}, shapes)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _set_dims(value, _filled(_dims(value), sizes))
    for value in graph.input:
        if value.name in shapes:
            _set_dims(value, shapes[value.name])
    _infer(static)
    return static


def _sizes(inputs: Mapping[str, Dims], shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Return the size of each symbolic dimension."""
    return {
        dim: size
        for name, shape in shapes.items()
        for dim, size in zip(inputs[name], shape, strict=True)
        if isinstance(dim, str)
    }


def _filled(dims: Dims, sizes: Mapping[str, int]) -> Dims:
    return tuple(sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in dims)


def _dims(value: ValueInfoProto) -> Dims:
    return tuple(
        int(dim.dim_value)
        if dim.HasField("dim_value") and dim.dim_value >= 0
        else (dim.dim_param if dim.dim_param not in _NO_NAMES else None)
        for dim in value.type.tensor_type.shape.dim
    )


def _set_dims(value: ValueInfoProto, dims: Iterable[int | str | None]) -> None:
    """Write the known sizes; other dimensions stay as they are."""
    for dim, size in zip(value.type.tensor_type.shape.dim, dims, strict=True):
        if isinstance(size, int):
            dim.dim_value = size


def _infer(model: ModelProto) -> None:
    graph = model.graph
    values = (*graph.output, *graph.value_info)
    known = {name: shape for name, (_, shape) in onnx_files.infer_shapes(model).items()}
    _learn(values, known)
    if not all(_is_static(value) for value in graph.output):
        _learn(values, _symbolically(model))


def _learn(values: Iterable[ValueInfoProto], known: Mapping[str, Dims | None]) -> None:
    for value in values:
        dims = known.get(value.name)
        if dims is None:
            continue
        shape = value.type.tensor_type.shape
        if not value.type.tensor_type.HasField("shape"):
            shape.dim.extend(type(shape).Dimension() for _ in dims)
        if len(shape.dim) == len(dims):
            _set_dims(value, dims)


def _is_static(value: ValueInfoProto) -> bool:
    return value.type.tensor_type.HasField("shape") and all(isinstance(dim, int) for dim in _dims(value))


def _symbolically(model: ModelProto) -> dict[str, Dims]:
    """Infer shapes with ONNX Runtime, which follows sizes through arithmetic."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    try:
        inferred = SymbolicShapeInference.infer_shapes(onnx_files.copy_of(model), auto_merge=True)
    except Exception:  # it does not support all operators of the standard
        return {}
    found = (*inferred.graph.output, *inferred.graph.value_info) if inferred else ()
    return {value.name: _dims(value) for value in found if value.type.tensor_type.HasField("shape")}
