"""Sample data from a user's npz file: checked once when it is given, then read and cut into batches.

An array for a batched input holds any number of samples along its first axis. One for another input holds its
shape as it is, or several of that shape along its first axis or along one more. Arrays that are not inputs,
such as labels, are refused unless a metric takes them.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import FileRef, InputSource, ModelFacts, Shape, ShapeRange, TensorFacts, Tensors
from engines.data.dtypes import as_dtype
from engines.data.named_files import require_file, unreadable
from engines.shapes.resolve import unknown_input, with_batch
from engines.shapes.text import format_dims, format_shapes

_SAVE = "Write it with np.savez('data.npz', name=array, ...)."

Array = NDArray[np.generic]


def check_inputs_file(
    model: ModelFacts,
    shapes: Mapping[str, ShapeRange],
    batched_inputs: Collection[str],
    path: Path,
    *,
    extras: bool = False,
) -> InputSource:
    """Return the file as a source of inputs; raises UserError for data that the model cannot take.

    With `extras` it may have arrays that are not inputs, with one value for each sample.
    """
    with opened(path) as file:
        others = _others(model, file.files, path, extras=extras)
        samples = check_arrays(
            model, shapes, batched_inputs, lambda facts: typed(read(file, facts.name, path), facts, path)
        )
        for name in others:
            _refuse_other_count(name, read(file, name, path), samples, exact=bool(batched_inputs))
    return InputSource(file=file_ref(path))


def check_arrays(
    model: ModelFacts,
    shapes: Mapping[str, ShapeRange],
    batched_inputs: Collection[str],
    array_of: Callable[[TensorFacts], Array],
) -> int:
    """Return the number of samples of each input, or of sets of inputs if none is batched.

    Raises UserError for arrays that the model cannot take.
    """
    wanted = with_batch(shapes, batched_inputs, 1)
    counts = {}
    for facts in model.inputs:
        array = array_of(facts)
        _refuse_shape(facts, array, wanted[facts.name], facts.name in batched_inputs)
        _refuse_values(facts, array, model.index_limits.get(facts.name))
        counts[facts.name] = len(cut(array, wanted[facts.name]))
    _refuse_uneven(counts, batched_inputs)
    return max(count for name, count in counts.items() if name in batched_inputs or not batched_inputs)


def read_batches(path: Path, model: ModelFacts, shapes: Mapping[str, Shape]) -> list[Tensors]:
    """Return consecutive batches of these shapes from a checked file; each array is read once."""
    with opened(path) as file:
        arrays = {facts.name: typed(read(file, facts.name, path), facts, path) for facts in model.inputs}
    return batches_of(arrays, shapes)


def read_all(path: Path, model: ModelFacts) -> Tensors:
    """Return every array of a checked file, also those that are not inputs, unchanged."""
    inputs = {facts.name: facts for facts in model.inputs}
    with opened(path) as file:
        found = {name: read(file, name, path) for name in file.files}
    return {
        name: typed(array, inputs[name], path) if name in inputs else array for name, array in found.items()
    }


def batches_of(arrays: Tensors, shapes: Mapping[str, Shape]) -> list[Tensors]:
    """Return the arrays in consecutive batches of these shapes, the last filled up from the first samples.

    Inputs without a batch repeat if they have fewer sets than there are batches.
    """
    parts = {name: cut(np.asarray(array, order="C"), shapes[name]) for name, array in arrays.items()}
    count = max(map(len, parts.values()))
    return [{name: of[index % len(of)] for name, of in parts.items()} for index in range(count)]


def file_ref(path: Path) -> FileRef:
    """The file by its content, as it is there now."""
    return FileRef(file_digest(path), path.name, str(path))


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[NpzFile]:
    """Open the arrays of the file by name; raises UserError if it is not an npz file."""
    require_file(path, of_a_folder="Give one npz file.")
    try:
        with path.open("rb") as raw:
            if not zipfile.is_zipfile(raw):
                raise _not_npz(path)
        file = np.load(path, allow_pickle=False)
    except OSError as error:
        raise unreadable(path, error) from error
    except zipfile.BadZipFile as error:
        raise _not_npz(path) from error
    with file:
        if not all(name.endswith(".npy") for name in file.zip.namelist()):
            raise _not_npz(path)
        yield file


def _not_npz(path: Path) -> UserError:
    return UserError(f"{str(path)!r} is not an npz file, or is damaged", _SAVE)


def _others(model: ModelFacts, names: Collection[str], path: Path, *, extras: bool) -> list[str]:
    """Return the names that are not inputs; raises UserError if they are not allowed or an input is
    missing.
    """
    if not names:
        raise UserError(f"{str(path)!r} contains no arrays", _SAVE)
    inputs = [facts.name for facts in model.inputs]
    others = [name for name in names if name not in inputs]
    if others and not extras:
        raise unknown_input(model, others[0])
    for name in inputs:
        if name not in names:
            raise UserError(
                f"{str(path)!r} has no array for the input {name!r}",
                f"It has {', '.join(names)}; the model takes {', '.join(inputs)}.",
            )
    return others


def read(file: NpzFile, name: str, path: Path) -> Array:
    """Return one array; raises UserError if it is pickled or damaged."""
    try:
        array = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise _not_npz(path) from error
        raise UserError(
            f"the array {name!r} in {str(path)!r} is pickled, and pickles are not loaded",
            "Save it as a plain array of numbers.",
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise _not_npz(path) from error
    if not isinstance(array, np.ndarray):
        raise _not_npz(path)
    return array


def typed(array: Array, facts: TensorFacts, source: object) -> Array:
    """Return the array with the tensor's type; raises UserError if its values are of another."""
    found = as_dtype(array, facts.dtype)
    if found is None:
        raise UserError(
            f"{facts.name!r} in {str(source)!r} is {array.dtype.name}, and the model takes {facts.dtype}",
            f"Save {facts.name}.astype({_spelled(facts.dtype)}).",
        )
    return found


def _refuse_other_count(name: str, array: Array, samples: int, *, exact: bool) -> None:
    """Return the number of samples; if the model fixes the batch, a set of inputs may hold several."""
    count = len(array) if array.ndim else 0
    if count == samples or (count and not exact and count % samples == 0):
        return
    raise UserError(
        f"the array {name!r} has {count} values along its first axis, and there are {samples} samples",
        "Give it one for each sample.",
    )


def _spelled(dtype: str) -> str:
    if dtype in ("string", "bool"):
        return "str" if dtype == "string" else "bool"
    return f"np.{dtype}" if hasattr(np, dtype) else f"ml_dtypes.{dtype}"


def _refuse_shape(facts: TensorFacts, array: Array, wanted: Shape, batched: bool) -> None:
    if array.size == 0 and 0 not in wanted:
        raise UserError(f"the array for the input {facts.name!r} is empty", "Give at least one sample.")
    if _fits(array.shape, wanted, batched):
        return
    expected = format_dims(("N", *wanted[1:]) if batched else wanted)
    fixable = len(array.shape) == len(facts.shape) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(facts.shape, array.shape, strict=True)
    )
    example = {facts.name: (1, *array.shape[1:]) if batched else array.shape}
    hint = f"Or measure at the shape of the data: --shapes {format_shapes(example)}." if fixable else ""
    raise UserError(
        f"the array for the input {facts.name!r} is {format_dims(array.shape)}, not {expected}",
        hint or "Give the array the shape that the model takes, samples along the first axis.",
    )


def _fits(shape: Shape, wanted: Shape, batched: bool) -> bool:
    if batched:
        return shape[1:] == wanted[1:] and len(shape) == len(wanted)
    if shape == wanted or shape[1:] == wanted:
        return True
    return len(shape) == len(wanted) > 0 and shape[1:] == wanted[1:] and shape[0] % max(wanted[0], 1) == 0


def _refuse_values(facts: TensorFacts, array: Array, rows: int | None) -> None:
    where = f"the array for the input {facts.name!r}"
    if "float" in facts.dtype or "complex" in facts.dtype:
        wrong = array.size - int(np.count_nonzero(np.isfinite(array)))
        if wrong:
            raise UserError(
                f"{where} has NaN or infinity in {wrong} of its {array.size} values",
                "Remove or fix these samples.",
            )
    if rows is not None and array.size:
        low, high = int(array.min()), int(array.max())
        # a negative index counts from the end of the table
        if low < -rows or high >= rows:
            raise UserError(
                f"{where} has the index {high if high >= rows else low} into a table of {rows} rows",
                f"Use indices from 0 to {rows - 1}.",
            )


def _refuse_uneven(counts: Mapping[str, int], batched_inputs: Collection[str]) -> None:
    batched = {name: count for name, count in counts.items() if name in batched_inputs}
    others = {name: count for name, count in counts.items() if name not in batched and count > 1}
    for group in (batched, others):
        if len(set(group.values())) > 1:
            said = ", ".join(f"{name!r} {count}" for name, count in group.items())
            raise UserError(
                f"the inputs have different numbers of samples: {said}", "Give every input the same number."
            )


def cut(array: Array, shape: Shape) -> list[Array]:
    """Return consecutive parts of this shape; the last is filled up from the first samples."""
    if array.shape == shape:
        return [array]
    if array.ndim > len(shape):
        return [np.asarray(part) for part in array]
    size = shape[0]
    parts = [array[start : start + size] for start in range(0, len(array), size)]
    if len(parts[-1]) < size:
        start = len(array) - len(parts[-1])
        parts[-1] = np.take(array, np.arange(start, start + size) % len(array), axis=0)
    return parts
