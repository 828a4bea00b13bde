"""Read an ONNX file, and name what the file is if it is not an ONNX model.

External weights are not read here (see `engines.models.weights`).
"""

import codecs
import re
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from engines.core.errors import UserError
from engines.data.named_files import require_file, unreadable

LARGEST_PROTOBUF = 2**31 - 1

_EXPORT = "Give the ONNX file that your framework exports, such as by torch.onnx.export."
_EXPORT_AGAIN = "Copy or download the file again, or export it once more."

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
        raise UserError(f"{str(path)!r} is cut off, {missing:,} or more bytes short", _EXPORT_AGAIN)
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise UserError(f"{str(path)!r} is not an ONNX model, or is damaged", _EXPORT) from error
    if not model.HasField("graph"):
        raise UserError(f"{str(path)!r} is not an ONNX model: it has no graph", _EXPORT)
    if not model.opset_import:
        raise UserError(f"{str(path)!r} does not say its opset; it may be cut off", _EXPORT_AGAIN)
    return model


def _refuse_others(path: Path, head: bytes) -> None:
    if not head:
        raise UserError(f"{str(path)!r} is empty", _EXPORT_AGAIN)
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
