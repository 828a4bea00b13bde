"""Count the weights of a model, their bytes and their files; their values are never loaded."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx

from engines.core.errors import UserError
from engines.data.named_files import unreadable
from engines.models.walk import tensors_of

_CHUNK = 2**20

_DTYPES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "FLOAT8E4M3FN": "float8_e4m3fn",
    "FLOAT8E4M3FNUZ": "float8_e4m3fnuz",
    "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz",
    "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT4E2M1": "float4_e2m1fn",
}


@dataclass(frozen=True)
class _External:
    tensor: str
    location: str
    end: int


def dtype_name(element_type: int) -> str:
    """Return numpy's name of an ONNX element type, or that of ml_dtypes if numpy has none."""
    name: str = onnx.TensorProto.DataType.Name(element_type)
    return _DTYPES.get(name, name.lower())


def elements(tensor: onnx.TensorProto) -> int:
    """Return the number of values."""
    return math.prod(tensor.dims)


def size_bytes(tensor: onnx.TensorProto) -> int:
    """Return the bytes of the values, packed as in a file."""
    if tensor.data_type == onnx.TensorProto.STRING:
        return sum(len(text) for text in tensor.string_data)
    bits = re.search(r"\d+", dtype_name(tensor.data_type))
    return -(-elements(tensor) * (int(bits.group()) if bits else 8) // 8)


def external_files(model: onnx.ModelProto, folder: Path) -> tuple[Path, ...]:
    """Return the files of external weights, in the order of their names.

    Raises UserError if one is missing, too short, or not a plain file in the model's folder or below.
    """
    needs: dict[str, _External] = {}
    for tensor in tensors_of(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            external = _external(tensor)
            held = needs.get(external.location)
            needs[external.location] = max(held or external, external, key=lambda one: one.end)
    return tuple(_checked(folder, needs[location]) for location in sorted(needs))


def digest(data: bytes, files: Iterable[Path]) -> str:
    """Return the sha256 of the model's bytes followed by the files; UserError if one is unreadable."""
    total = hashlib.sha256(data)
    for path in files:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
        except OSError as error:
            raise unreadable(path, error) from error
    return total.hexdigest()


def _external(tensor: onnx.TensorProto) -> _External:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    try:
        start, length = int(entries.get("offset", 0)), int(entries.get("length", size_bytes(tensor)))
    except ValueError as error:
        raise UserError(
            f"the location of the external weights {tensor.name!r} cannot be parsed",
            "Export the model again.",
        ) from error
    return _External(tensor.name, entries.get("location", ""), start + length)


def _checked(folder: Path, external: _External) -> Path:
    path = folder / external.location
    name = f"the external weights {external.location!r}"
    relative = PurePosixPath(external.location)
    if relative.is_absolute() or ".." in relative.parts:
        raise UserError(
            f"{name} lie outside the model's folder", "Export the model and its weights to one folder."
        )
    if path.is_symlink():
        # onnx refuses links, since one may lead anywhere; models in a download cache consist of them
        raise UserError(
            f"{name} are a symbolic link", "Copy the model and its weights to a folder with cp -L."
        )
    if not path.is_file():
        raise UserError(f"{name} are missing", f"Put them at {str(path)!r}, beside the model.")
    size = path.stat().st_size
    if size < external.end:
        raise UserError(
            f"{name} are too short: {external.tensor!r} ends at byte {external.end} of {size}",
            "Copy or download the file again, or export the model once more.",
        )
    return path
