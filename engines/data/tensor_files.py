"""Write batches of tensors to a file for another process, and read arrays that a user saved by name."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engines.core.errors import UserError
from engines.core.values import Tensors
from engines.data.dtypes import as_dtype
from engines.data.named_files import require_file, unreadable

_SAVE = "Write it with np.savez('data.npz', name=array, ...)."


def save(file: Path, batches: Sequence[Tensors]) -> None:
    """Write the batches, including types that numpy's format does not know."""
    named = {
        f"{number}:{values.dtype.name}:{name}": values
        for number, batch in enumerate(batches)
        for name, values in batch.items()
    }
    with file.open("wb") as target:
        np.savez(target, **named)  # type: ignore[arg-type]


def load(file: Path) -> list[Tensors]:
    """Return the batches as they were saved, at least one."""
    batches: dict[int, Tensors] = {}
    with np.load(file, allow_pickle=False) as stored:
        for key, values in stored.items():
            number, dtype, name = key.split(":", 2)
            typed = as_dtype(values, dtype) if values.dtype.kind == "V" else values
            batches.setdefault(int(number), {})[name] = values if typed is None else typed
    return [batches[number] for number in sorted(batches)]


def read_arrays(path: Path) -> Tensors:
    """Return every array of an npz file by its name; raises UserError for any other file."""
    require_file(path)
    try:
        # numpy leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            found: Tensors = {name: stored[name] for name in stored.files}
    except (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _not_npz(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not found:
        raise UserError(f"{str(path)!r} contains no arrays", _SAVE)
    if not all(isinstance(values, np.ndarray) for values in found.values()):
        raise _not_npz(path)
    return found


def _not_npz(path: Path) -> UserError:
    return UserError(f"{str(path)!r} is not an npz file of plain arrays, or is damaged", _SAVE)
