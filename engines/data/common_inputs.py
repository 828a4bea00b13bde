"""Inputs that two models or engines both take, so that their outputs can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, Shape, ShapeRange, TensorFacts, Tensors, Workload
from engines.data.dtypes import numpy_dtype
from engines.data.inputs import check_inputs_file, make_inputs
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, describe_inputs, resolve
from engines.shapes.text import UNNAMED, format_dims

Dims = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Taker:
    """A model or an engine: what it is called, what it takes, the shapes it prefers and its limits."""

    name: str
    model: ModelFacts
    preferred: Mapping[str, Shape] = field(default_factory=dict)
    limits: Mapping[str, ShapeRange] = field(default_factory=dict)


@dataclass(frozen=True)
class SameInputs:
    """Batches that every taker takes, the shapes of each, and notes on what nobody asked for."""

    batches: list[Tensors]
    shapes: Mapping[str, Shape]
    notes: tuple[str, ...]


def same_inputs(takers: Sequence[Taker], asked: Mapping[str, Shape], file: Path | None) -> SameInputs:
    """Inputs from the file, random ones without; raises UserError where nothing suits every taker.

    Shapes that nobody asked for are those that the takers prefer, of the first that does.
    """
    model = common_model(takers)
    shapes, notes = _shapes(model, takers, asked)
    batch, batched = batch_of(model, shapes)
    source = check_inputs_file(model, shapes, batched, file) if file is not None else InputSource()
    batches = make_inputs(Workload(model, single_plan(shapes, batch), batched, source), batch)
    return SameInputs(batches, {name: of.optimum for name, of in shapes.items()}, notes)


def common_model(takers: Sequence[Taker]) -> ModelFacts:
    """The first taker's model, its inputs narrowed to what the others take too; raises UserError."""
    first, others = takers[0], takers[1:]
    for other in others:
        _refuse_other_names(first, other)
    limits: dict[str, int] = {}
    for taker in takers:
        for name, rows in taker.model.index_limits.items():
            limits[name] = min(rows, limits.get(name, rows))
    inputs = first.model.inputs
    for other in others:
        theirs = {facts.name: facts for facts in other.model.inputs}
        inputs = tuple(_narrowed(facts, theirs[facts.name], first.name, other.name) for facts in inputs)
    return replace(first.model, inputs=inputs, index_limits=limits)


def as_taken(batches: Sequence[Tensors], model: ModelFacts) -> list[Tensors]:
    """The batches in the types that this model takes; raises UserError for a number too large for one."""
    return [{facts.name: _converted(facts, batch[facts.name]) for facts in model.inputs} for batch in batches]


def refuse_beyond(taker: str, name: str, shape: Shape, limit: ShapeRange) -> None:
    """Raises UserError for a shape of an input that is outside of what is taken."""
    bounds = zip(limit.minimum, shape, limit.maximum, strict=True)
    if not all(low <= size <= high for low, size, high in bounds):
        raise UserError(
            f"{taker} takes {name!r} from {format_dims(limit.minimum)} to {format_dims(limit.maximum)}, "
            f"not {format_dims(shape)}",
            "Choose other --shapes, or build an engine for these.",
        )


def _converted(facts: TensorFacts, values: NDArray[np.generic]) -> NDArray[np.generic]:
    if values.dtype.kind == "U":
        return values
    # what a coarser type of floats makes infinite is for the comparison to show
    with np.errstate(over="ignore"):
        converted = values.astype(numpy_dtype(facts.dtype), copy=False)
    if values.dtype.kind in "iu" and not np.array_equal(converted, values):
        raise UserError(
            f"the input {facts.name!r} has values that {facts.dtype} cannot hold", "Give other --inputs."
        )
    return converted


def _refuse_other_names(first: Taker, other: Taker) -> None:
    if {facts.name for facts in first.model.inputs} != {facts.name for facts in other.model.inputs}:
        raise UserError(
            f"{first.name} takes {describe_inputs(first.model)}, and {other.name} takes "
            f"{describe_inputs(other.model)}",
            "Only models and engines with the same inputs can be compared.",
        )


def _narrowed(mine: TensorFacts, theirs: TensorFacts, first: str, other: str) -> TensorFacts:
    """Return one input as both take it."""
    if not _are_alike(mine.dtype, theirs.dtype):
        raise UserError(
            f"the input {mine.name!r} is {mine.dtype} for {first}, and {theirs.dtype} for {other}",
            "Only models and engines with the same inputs can be compared.",
        )
    pairs = list(zip(mine.shape, theirs.shape, strict=False))
    fits = len(mine.shape) == len(theirs.shape)
    if not fits or any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs):
        raise UserError(
            f"the input {mine.name!r} is {format_dims(mine.shape)} for {first}, and "
            f"{format_dims(theirs.shape)} for {other}",
            "Build one of them for the shape of the other.",
        )
    return replace(mine, shape=tuple(b if isinstance(b, int) else a for a, b in pairs))


def _are_alike(mine: str, theirs: str) -> bool:
    """Return whether both types can represent the same values; a coarser one rounds them."""
    return mine == theirs or any(kind in mine and kind in theirs for kind in ("float", "int"))


def _shapes(
    model: ModelFacts, takers: Sequence[Taker], asked: Mapping[str, Shape]
) -> tuple[dict[str, ShapeRange], tuple[str, ...]]:
    dims = {facts.name: facts.shape for facts in model.inputs}
    preferred = {
        name: _fixed(shape, dims[name])
        for taker in reversed(takers)
        for name, shape in taker.preferred.items()
        if name in dims
    }
    # a shape without a name is that of the only input
    shapes, notes = resolve(model, asked if UNNAMED in asked else {**preferred, **asked})
    for taker in takers:
        for name, limit in taker.limits.items():
            refuse_beyond(taker.name, name, shapes[name].optimum, limit)
    return shapes, notes


def _fixed(shape: Shape, dims: Dims) -> Shape:
    """The shape with those of its dimensions that are fixed."""
    if len(shape) != len(dims):
        return shape
    return tuple(dim if isinstance(dim, int) else size for size, dim in zip(shape, dims, strict=True))
