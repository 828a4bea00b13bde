"""Read calibration data for quantization: a file, a folder or a function of the user's.

Without any of them it is the inputs themselves, or random data of several seeds if those are random too.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import (
    FileRef,
    InputSource,
    ModelFacts,
    Shape,
    ShapeRange,
    TensorFacts,
    Tensors,
    Workload,
)
from engines.data.inputs import make_inputs
from engines.data.inputs_file import (
    batches_of,
    check_arrays,
    check_inputs_file,
    cut,
    file_digest,
    read_all,
    typed,
)
from engines.data.named_files import require_file
from engines.data.user_functions import find_function, load_function, raised
from engines.shapes.plan import case_shapes
from engines.shapes.resolve import unknown_input, with_batch
from engines.shapes.text import format_dims

# random batches: enough that the ranges do not depend on chance
CALIBRATION_SEEDS = 8
# a generator may be endless: take no more samples than this
MOST_SAMPLES = 1024
# each batch costs time of its own, and memory for every tensor of the model
BATCH_BYTES = 4 << 20
LARGEST_BATCH = 32

Array = NDArray[np.generic]


def parse_calibration(
    text: str,
    model: ModelFacts,
    shapes: Mapping[str, ShapeRange],
    batched_inputs: Collection[str],
    folder: Path,
) -> InputSource:
    """Return an npz file, a folder of npy files, or MODULE:FUNCTION found from `folder`, as a data source.

    Files are INPUT/*.npy, or *.npy if the model has one input; each holds one or more samples. A function
    yields dicts of arrays, each a batch of any size. Raises UserError for data that the model cannot take;
    the data of a function is checked by `check_calibration`.
    """
    path = folder / Path(text).expanduser()
    if path.is_dir():
        check_arrays(model, shapes, batched_inputs, _of_folder(path, model, shapes, batched_inputs))
        return InputSource(file=FileRef(folder_digest(path, model), path.name, str(path)))
    if path.exists() or ":" not in text:
        return check_inputs_file(model, shapes, batched_inputs, path, extras=True)
    function = find_function(text, folder)
    return InputSource(file=function.ref, function=function.text)


def check_calibration(workload: Workload) -> None:
    """Take a function's first batch; raises UserError if it fails or does not fit the model."""
    source = workload.calibration
    if source is not None and source.function is not None:
        next(_given_by(source.function, workload))


def calibration_batches(workload: Workload, *, large: bool = False) -> Iterator[Tensors]:
    """Yield batches at the optimum shapes; from a function no more than MOST_SAMPLES samples are taken.

    With `large`, given data comes in batches of up to LARGEST_BATCH if the model takes them. Raises UserError
    for data that is gone or does not fit the model.
    """
    arrays = _given(workload)
    if arrays is None:
        yield from _random(workload)
        return
    batch = _large(workload, arrays) if large else workload.plan.batch
    yield from batches_of(arrays, case_shapes(workload, batch))


def calibration_identity(workload: Workload) -> object:
    """Return what identifies the batches in the names of graphs; for a function only its own file."""
    source = workload.calibration or workload.inputs
    data = source.digest or ["random", source.seed, CALIBRATION_SEEDS]
    name = source.function.rpartition(":")[2] if source.function else None
    return [data, name, case_shapes(workload)]


def _given(workload: Workload) -> Tensors | None:
    """Return all data for each input; None if it is random."""
    source, model = workload.calibration or workload.inputs, workload.model
    if source.function is not None:
        return _collected(source.function, workload)
    if source.file is None:
        return None
    path = source.file.path
    if path.is_dir():
        array_of = _of_folder(path, model, workload.plan.ranges, workload.batched_inputs)
        return {facts.name: array_of(facts) for facts in model.inputs}
    arrays = read_all(path, model)
    return {facts.name: arrays[facts.name] for facts in model.inputs}


def _large(workload: Workload, arrays: Tensors) -> int:
    """Return how many samples to compute at once, so that few are repeated to fill the last batch."""
    if not arrays or set(arrays) != set(workload.batched_inputs):
        return workload.plan.batch
    samples = max(map(len, arrays.values()))
    bytes_each = sum(array.nbytes for array in arrays.values()) / samples
    most = min(LARGEST_BATCH, int(BATCH_BYTES / bytes_each))
    if most <= workload.plan.batch:
        return workload.plan.batch
    return max(workload.plan.batch, math.ceil(samples / math.ceil(samples / most)))


def _random(workload: Workload) -> Iterator[Tensors]:
    source = workload.inputs
    for seed in range(source.seed, source.seed + CALIBRATION_SEEDS):
        yield from make_inputs(replace(workload, inputs=replace(source, seed=seed)), workload.plan.batch)


def _of_folder(
    folder: Path, model: ModelFacts, shapes: Mapping[str, ShapeRange], batched_inputs: Collection[str]
) -> Callable[[TensorFacts], Array]:
    """Return a reader for each input's array, joined from its files in the order of their names."""
    wanted = with_batch(shapes, batched_inputs, 1)

    def array_of(facts: TensorFacts) -> Array:
        is_batched = facts.name in batched_inputs
        files = _files(folder, facts, model)
        parts = [_part(_load(file), file, facts, wanted[facts.name], is_batched) for file in files]
        return np.concatenate(parts)

    return array_of


def _files(folder: Path, facts: TensorFacts, model: ModelFacts) -> list[Path]:
    own = folder / facts.name
    files = sorted((own if own.is_dir() or len(model.inputs) > 1 else folder).glob("*.npy"))
    if not files:
        where = [own, folder] if len(model.inputs) == 1 else [own]
        raise UserError(
            f"{str(folder)!r} has no npy files for the input {facts.name!r}",
            f"Save them as {' or '.join(str(one / '*.npy') for one in where)}.",
        )
    return files


def _load(file: Path) -> Array:
    require_file(file)
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{str(file)!r} is not an npy file that can be read", "Write it with np.save(file, array)."
        ) from error
    return np.asarray(found)


def _part(array: Array, file: Path, facts: TensorFacts, wanted: Shape, is_batched: bool) -> Array:
    """Return the file's array with an axis of samples, or of sets if the model has no batch."""
    array = typed(array, facts, file)
    if is_batched and array.shape[1:] == wanted[1:] and array.ndim == len(wanted):
        return array
    if is_batched and array.shape == wanted[1:]:
        return array[np.newaxis]
    if not is_batched and array.size == np.prod(wanted) and array.shape[-len(wanted) :] == wanted:
        return array.reshape(1, *wanted)
    expected = format_dims(wanted[1:] if is_batched else wanted)
    raise UserError(
        f"{str(file)!r} is {format_dims(array.shape)}, not {expected}",
        "Give each file the shape of a sample, or several along its first axis.",
    )


def folder_files(folder: Path, model: ModelFacts) -> list[Path]:
    """The files of a folder that hold what the inputs of a model take."""
    return [file for facts in model.inputs for file in _files(folder, facts, model)]


def folder_digest(folder: Path, model: ModelFacts) -> str:
    """The sha256 of what the folder holds for the inputs of a model."""
    content = hashlib.sha256()
    for facts in model.inputs:
        for file in _files(folder, facts, model):
            content.update(f"{facts.name}/{file.name}:{file_digest(file)};".encode())
    return content.hexdigest()


def _collected(text: str, workload: Workload) -> Tensors:
    """Return up to MOST_SAMPLES samples of the function, as a file would hold them."""
    wanted = case_shapes(workload, 1)
    parts: dict[str, list[Array]] = {name: [] for name in wanted}
    samples = 0
    for arrays, count in _given_by(text, workload):
        for name, array in arrays.items():
            one = [array] if name in workload.batched_inputs else [np.stack(cut(array, wanted[name]))]
            parts[name] += one
        samples += count if workload.batched_inputs else count * workload.plan.batch
        if samples >= MOST_SAMPLES:
            break
    most = MOST_SAMPLES if workload.batched_inputs else max(1, MOST_SAMPLES // workload.plan.batch)
    return {name: np.concatenate(arrays)[:most] for name, arrays in parts.items()}


def _given_by(text: str, workload: Workload) -> Iterator[tuple[Tensors, int]]:
    """Yield each batch of the function and its number of samples; at least one."""
    assert workload.calibration is not None
    assert workload.calibration.file is not None
    folder = workload.calibration.file.path
    function, file = load_function(text, folder), find_function(text, folder).file
    is_empty = True
    try:
        for given in function():
            is_empty = False
            yield _checked(given, text, workload)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"the calibration function {text!r} raised {raised(error, file)}", "Fix it."
        ) from error
    if is_empty:
        raise UserError(f"the calibration function {text!r} yields no data", "Let it yield dicts of arrays.")


def _checked(given: object, text: str, workload: Workload) -> tuple[Tensors, int]:
    model, names = workload.model, {facts.name for facts in workload.model.inputs}
    if not isinstance(given, Mapping) or names - given.keys():
        kind = type(given).__name__
        said = (
            f"{kind} with {', '.join(map(str, given)) or 'nothing'}" if isinstance(given, Mapping) else kind
        )
        raise UserError(
            f"the calibration function {text!r} gives a {said}",
            f"Let it yield dicts with an array for each of {', '.join(sorted(names))}.",
        )
    try:
        for name in given:
            if name not in names:
                raise unknown_input(model, name)
        arrays = {facts.name: typed(np.asarray(given[facts.name]), facts, text) for facts in model.inputs}
        shapes, batched = workload.plan.ranges, workload.batched_inputs
        found = check_arrays(model, shapes, batched, lambda facts: arrays[facts.name])
    except UserError as error:
        raise UserError(
            f"the calibration function {text!r} gives what does not fit: {error.message}", error.hint
        ) from error
    return arrays, found
