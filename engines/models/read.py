"""Read the facts of a model: inputs, outputs, operators, weights, and digest.

Whether a backend can run it is not checked here. Operators of any domain are accepted, and so are models that
onnx's checker refuses but runtimes take, such as those with nodes out of order.
"""

from collections import Counter
from pathlib import Path

import onnx

from engines.core.errors import UserError
from engines.core.values import FileRef, ModelFacts, TensorFacts
from engines.models import file, walk, weights
from engines.models.gather_bounds import index_limits

_STANDARD_DOMAINS = ("", "ai.onnx")
_EXPORT_AGAIN = "Export the model again; no backend can run this one."


def read_model(path: Path) -> ModelFacts:
    """Return the facts of the ONNX file; external weights are hashed, not loaded.

    An operator of a custom domain is counted as domain::operator, an output of unknown rank has the shape (),
    and the opset is 0 if no standard operator is used. Raises UserError for anything that is not a complete
    model with tensors as inputs and outputs.
    """
    data = file.file_bytes(path)
    model = file.parse(data, path)
    _refuse_incomplete(model.graph)
    inputs = tuple(_facts(value, "input") for value in _true_inputs(model.graph))
    outputs = tuple(_facts(value, "output") for value in model.graph.output)
    files = weights.external_files(model, path.parent)
    tensors = list(walk.tensors_of(model))
    return ModelFacts(
        file=FileRef(weights.digest(data, files), path.name, str(path)),
        inputs=inputs,
        outputs=outputs,
        opset=_opset(model),
        operators=_operators(model),
        parameters=sum(weights.elements(tensor) for tensor in tensors),
        weight_bytes=sum(weights.size_bytes(tensor) for tensor in tensors),
        index_limits=index_limits(model, [facts.name for facts in inputs if "int" in facts.dtype]),
    )


def _refuse_incomplete(graph: onnx.GraphProto) -> None:
    if not graph.node:
        raise UserError("the model has no operators", _EXPORT_AGAIN)
    if not graph.output:
        raise UserError("the model has no outputs", _EXPORT_AGAIN)
    if not _true_inputs(graph):
        raise UserError(
            "the model has no inputs", "A model without inputs is a constant; there is nothing to measure."
        )
    known = {name for node in graph.node for name in node.output} | _initialized(graph)
    known |= {value.name for value in graph.input} | {""}
    for node in graph.node:
        for name in node.input:
            if name not in known:
                raise UserError(f"node {_name(node)!r} reads {name!r}, which no node computes", _EXPORT_AGAIN)
    for value in graph.output:
        if value.name not in known:
            raise UserError(f"no node computes the output {value.name!r}", _EXPORT_AGAIN)


def _true_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    initialized = _initialized(graph)
    return [value for value in graph.input if value.name not in initialized]


def _initialized(graph: onnx.GraphProto) -> set[str]:
    dense = {tensor.name for tensor in graph.initializer}
    return dense | {tensor.values.name for tensor in graph.sparse_initializer}


def _name(node: onnx.NodeProto) -> str:
    return str(node.name or node.op_type)


def _facts(value: onnx.ValueInfoProto, what: str) -> TensorFacts:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        said = f"is a {kind.removesuffix('_type')}, not a tensor" if kind else "has no type"
        raise UserError(
            f"the {what} {value.name!r} {said}",
            "Export the model so that its inputs and outputs are tensors.",
        )
    tensor = value.type.tensor_type
    if tensor.elem_type == onnx.TensorProto.UNDEFINED:
        raise UserError(f"the {what} {value.name!r} has no element type", _EXPORT_AGAIN)
    if what == "input" and not tensor.HasField("shape"):
        raise UserError(
            f"the input {value.name!r} has no shape, not even a number of dimensions",
            "Export the model with the shapes of its inputs; dimensions that vary may have names.",
        )
    return TensorFacts(value.name, weights.dtype_name(tensor.elem_type), tuple(map(_dim, tensor.shape.dim)))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> int | str | None:
    # some exporters write a dynamic dimension as -1, or name it "?"
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    return dim.dim_param if dim.dim_param not in ("", "?", "-1", "None") else None


def _opset(model: onnx.ModelProto) -> int:
    return max(
        (entry.version for entry in model.opset_import if entry.domain in _STANDARD_DOMAINS), default=0
    )


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    counts = Counter(
        node.op_type if node.domain in _STANDARD_DOMAINS else f"{node.domain}::{node.op_type}"
        for node in walk.nodes_of(model)
    )
    return dict(sorted(counts.items()))
