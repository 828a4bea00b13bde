"""Read reference outputs that the user gives in an npz file, instead of computing them with the model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import InputSource, Shape, TensorFacts, Tensors, Workload
from engines.data.inputs_file import cut, file_ref, opened, read, read_all, read_batches, typed
from engines.shapes.plan import case_shapes
from engines.shapes.text import format_dims

Array = NDArray[np.generic]
Dims = tuple[int | str | None, ...]


def check_expected(workload: Workload, path: Path) -> InputSource:
    """Return the file as a source of reference outputs for the workload's inputs, which must come from a
    file.

    It has an array for each output of the model, samples along the first axis as in the inputs. Raises
    UserError for outputs that cannot be a reference.
    """
    if workload.inputs.file is None:
        raise UserError(
            "--reference needs --inputs: the outputs belong to certain inputs",
            "Give the inputs that they were computed from.",
        )
    samples, sets = _counts(workload)
    with opened(path) as file:
        _refuse_names(workload, file.files, path)
        for facts in workload.model.outputs:
            array = typed(read(file, facts.name, path), facts, path)
            _refuse_misfit(facts, array, workload, samples, sets)
            _refuse_not_finite(facts, array)
    return InputSource(file=file_ref(path))


def read_reference(workload: Workload, batch: int, batches: int) -> list[Tensors]:
    """Return the reference outputs for each batch of inputs, cut and filled up as these are."""
    assert workload.expected is not None
    assert workload.expected.file is not None
    path = workload.expected.file.path
    with opened(path) as file:
        parts = {
            facts.name: _parts(
                typed(read(file, facts.name, path), facts, path), facts, batch, batches, workload
            )
            for facts in workload.model.outputs
        }
    return [{name: of[index] for name, of in parts.items()} for index in range(batches)]


def _parts(array: Array, facts: TensorFacts, batch: int, batches: int, workload: Workload) -> Sequence[Array]:
    if workload.batched_inputs:
        return cut(array, (batch, *array.shape[1:]))
    if len(array) == batches and array.ndim != len(facts.shape):
        return [np.asarray(part) for part in array]
    return np.split(array, batches)


def _counts(workload: Workload) -> tuple[int, int]:
    """Return the number of samples of the inputs, or of sets of inputs if the model fixes its batch."""
    model, batched = workload.model, workload.batched_inputs
    assert workload.inputs.file is not None
    path = workload.inputs.file.path
    samples = len(read_all(path, model)[batched[0]]) if batched else workload.plan.batch
    sets = len(read_batches(path, model, case_shapes(workload, samples)))
    if batched and sets > 1:
        raise UserError(
            "--reference does not go with several sets of an input that has no batch", "Give it one set."
        )
    return samples, sets


def _refuse_names(workload: Workload, names: Sequence[str], path: Path) -> None:
    outputs = [facts.name for facts in workload.model.outputs]
    hint = f"It has {', '.join(names) or 'nothing'}; the model gives {', '.join(outputs)}."
    for name in outputs:
        if name not in names:
            raise UserError(f"{str(path)!r} has no array for the output {name!r}", hint)
    for name in names:
        if name not in outputs:
            raise UserError(f"the model has no output {name!r}, as in {str(path)!r}", hint)


def _refuse_misfit(facts: TensorFacts, array: Array, workload: Workload, samples: int, sets: int) -> None:
    dims = facts.shape
    if workload.batched_inputs:
        if dims and isinstance(dims[0], int):
            raise UserError(
                f"the output {facts.name!r} has no axis of samples: the model says {format_dims(dims)}",
                "Leave out --reference, so that the model computes the reference.",
            )
        wanted: list[Dims] = [(samples, *dims[1:])] if dims else [(samples, *array.shape[1:])]
    else:
        first = dims[0] if dims else None
        behind = (sets * first if isinstance(first, int) else None, *dims[1:])
        wanted = [behind, (sets, *dims)] if dims else [(sets, *array.shape[1:])]
    if not any(_fits(array.shape, one) for one in wanted):
        expected = " or ".join(format_dims(one) for one in wanted)
        raise UserError(
            f"the array for the output {facts.name!r} is {format_dims(array.shape)}, not {expected}",
            "Give an output for each sample of the inputs, along the first axis.",
        )


def _fits(shape: Shape, wanted: Dims) -> bool:
    return len(shape) == len(wanted) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(wanted, shape, strict=True)
    )


def _refuse_not_finite(facts: TensorFacts, array: Array) -> None:
    if "float" not in facts.dtype:
        return
    wrong = array.size - int(np.count_nonzero(np.isfinite(array)))
    if wrong:
        raise UserError(
            f"the array for the output {facts.name!r} has {wrong} values that are NaN or infinite",
            "Remove or fix these samples.",
        )
