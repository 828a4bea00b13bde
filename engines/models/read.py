"""Read an ONNX file and the facts of its model: inputs, outputs, operators, weights, and digest.

A file that is not an ONNX model is refused with what it is instead.

Whether a backend can run it is not checked here. Operators of any domain are accepted, and so are models that
onnx's checker refuses but runtimes take, such as those with nodes out of order.
"""

import codecs
import re
from collections import Counter
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from engines.core.errors import UserError
from engines.core.values import FileRef, ModelFacts, TensorFacts
from engines.data.named_files import require_file, unreadable
from engines.models import walk, weights
from engines.models.gather_bounds import index_limits

_STANDARD_DOMAINS = ("", "ai.onnx")
_EXPORT_AGAIN = "Export the model again; no backend can run this one."


def read_model(path: Path) -> ModelFacts:
    """Return the facts of the ONNX file; external weights are hashed, not loaded.

    An operator of a custom domain is counted as domain::operator, an output of unknown rank has the shape (),
    and the opset is 0 if no standard operator is used. Raises UserError for anything that is not a complete
    model with tensors as inputs and outputs.
    """
    data = file_bytes(path)
    model = parse(data, path)
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


LARGEST_PROTOBUF = 2**31 - 1

_EXPORT = "Give the ONNX file that your framework exports, such as by torch.onnx.export."
_COPY_AGAIN = "Copy or download the file again, or export it once more."

# files that are given instead of an ONNX file: offset of the magic number, magic number, what it is, hint
_OTHERS = (
    (0, b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself with git lfs pull."),
    (0, b"PK\x03\x04", "a zip archive, as PyTorch saves", "Export the model with torch.onnx.export."),
    (0, b"\x80", "a pickle, as older PyTorch saves", "Export the model with torch.onnx.export."),
    (8, b'{"', "a safetensors file: weights without a graph", "Export the model with torch.onnx.export."),
    (0, b"\x89HDF", "an HDF5 file, as Keras saves", "Convert the model with tf2onnx."),
    (4, b"TFL3", "a TensorFlow Lite model", "Convert the model with tf2onnx --tflite."),
    (4, b"ORTM", "a model in ONNX Runtime's own format", "Give the ONNX file that it was made from."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (0, b"\x89PNG", "a PNG picture", _EXPORT),
    (0, b"\xff\xd8\xff", "a JPEG picture", _EXPORT),
)

_VARINT, _BYTES = 0, 2
# the wire type of each field of ModelProto, by field number
_FIELDS = {1: _VARINT, 5: _VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), _BYTES)


def file_bytes(path: Path) -> bytes:
    """Return the whole file; raises UserError if it cannot be read or cannot be an ONNX file."""
    require_file(path, "Check the path of the model.", "Give the ONNX file inside it.")
    try:
        with path.open("rb") as file:
            head = file.read(64)
            _refuse_others(path, head)
            if path.stat().st_size > LARGEST_PROTOBUF:
                raise UserError(
                    f"{str(path)!r} is over 2 GB, more than one ONNX file can hold",
                    "Export the model with its weights in an external file.",
                )
            file.seek(0)
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def parse(data: bytes, path: Path) -> onnx.ModelProto:
    """Return the model in the bytes; raises UserError if they are cut off or not an ONNX model."""
    model = onnx.ModelProto()
    missing = _missing_bytes(data)
    if missing:
        raise UserError(f"{str(path)!r} is cut off, {missing:,} or more bytes short", _COPY_AGAIN)
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise UserError(f"{str(path)!r} is not an ONNX model, or is damaged", _EXPORT) from error
    if not model.HasField("graph"):
        raise UserError(f"{str(path)!r} is not an ONNX model: it has no graph", _EXPORT)
    if not model.opset_import:
        raise UserError(f"{str(path)!r} does not say its opset; it may be cut off", _COPY_AGAIN)
    return model


def _refuse_others(path: Path, head: bytes) -> None:
    if not head:
        raise UserError(f"{str(path)!r} is empty", _COPY_AGAIN)
    for offset, mark, what, hint in _OTHERS:
        if head[offset:].startswith(mark):
            raise UserError(f"{str(path)!r} is not an ONNX model but {what}", hint)
    if _is_text(head):
        raise UserError(f"{str(path)!r} is not an ONNX model but a text", _EXPORT)


def _is_text(head: bytes) -> bool:
    try:
        # an incremental decoder, since the head may end within a character
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return re.sub(r"\s", "", text).isprintable()


def _missing_bytes(data: bytes) -> int:
    """Return how many bytes the last field lacks; 0 if it is complete or the file is not an ONNX file.

    Not left to the protobuf library: it raises "Wire format was corrupt" for a file that is cut off and for
    one that is damaged alike, while each needs its own hint.
    """
    place = 0
    while place < len(data):
        try:
            key, place = _varint(data, place)
            kind = _FIELDS.get(key >> 3)
            if kind != key & 7:
                return 0
            value, place = _varint(data, place)
        except IndexError:
            return 1
        except ValueError:
            return 0
        place += value if kind == _BYTES else 0
    return place - len(data)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
    raise ValueError("a varint of more than ten bytes")
