"""Resolve the shapes that a user gives: check them against the model, and fill in missing dimensions."""

import difflib
from collections.abc import Collection, Mapping

from engines.core.errors import UserError
from engines.core.values import ModelFacts, Shape, ShapeRange, TensorFacts
from engines.shapes.text import UNNAMED, format_dims, format_shapes, parse_shapes

__all__ = [
    "batch_of",
    "describe_inputs",
    "format_shapes",
    "parse_shapes",
    "resolve",
    "unknown_input",
    "with_batch",
]

_NOTHING: Mapping[str, Shape] = {}


def resolve(
    model: ModelFacts,
    shapes: Mapping[str, Shape] = _NOTHING,
    minimum: Mapping[str, Shape] = _NOTHING,
    optimum: Mapping[str, Shape] = _NOTHING,
    maximum: Mapping[str, Shape] = _NOTHING,
) -> tuple[dict[str, ShapeRange], tuple[str, ...]]:
    """Return the range of every input, and a note of one line on each dimension that was filled in.

    `shapes` sets all three bounds unless they are set one by one; a missing bound is the optimum. A missing
    dimension is that of the same name in another input, else 1. Raises UserError for inputs that the model
    does not have and shapes that it cannot take.
    """
    shapes, minimum, optimum, maximum = (
        _of_model(model, given) for given in (shapes, minimum, optimum, maximum)
    )
    best = {**minimum, **maximum, **shapes, **optimum}
    notes = [
        _optimum_note(name, best[name])
        for name in {**minimum, **maximum}
        if name not in {**shapes, **optimum}
    ]
    lowest, highest = {**best, **shapes, **minimum}, {**best, **shapes, **maximum}
    named = _named_sizes(model, best)
    notes += [note for facts in model.inputs if facts.name not in best for note in _filled_note(facts, named)]
    bounds = [_fill(model, given) for given in (lowest, best, highest)]
    ranges = {facts.name: ShapeRange(*(bound[facts.name] for bound in bounds)) for facts in model.inputs}
    for facts in model.inputs:
        _refuse_disorder(facts, ranges[facts.name])
    return ranges, tuple(notes)


def batch_of(model: ModelFacts, shapes: Mapping[str, ShapeRange]) -> tuple[int, tuple[str, ...]]:
    """Return the samples in one inference at the optimum, and the inputs whose first dimension is the batch.

    These are the inputs whose first dimension has the same name (or none, too) as that of the first input
    that is not a scalar. There are none if it is fixed, or if the batch occurs elsewhere in a shape.
    """
    arrays = [facts for facts in model.inputs if facts.shape]
    if not arrays:
        return 1, ()
    firsts = {facts.name: shapes[facts.name].optimum[0] for facts in arrays}
    lead = arrays[0].shape[0]
    inner = [dim for facts in arrays for dim in facts.shape[1:]]
    batch = firsts[arrays[0].name]
    if isinstance(lead, int):
        return (batch if len(set(firsts.values())) == 1 else 1), ()
    if any(isinstance(dim, str) and (dim == lead or "batch" in dim.lower()) for dim in inner):
        return batch, ()
    batched = [facts.name for facts in arrays if facts.shape[0] == lead and firsts[facts.name] == batch]
    return batch, tuple(batched)


def with_batch(
    shapes: Mapping[str, ShapeRange], batched_inputs: Collection[str], batch: int
) -> dict[str, Shape]:
    """The optimum shapes with this batch."""
    return {
        name: (batch, *of.optimum[1:]) if name in batched_inputs else of.optimum
        for name, of in shapes.items()
    }


def unknown_input(model: ModelFacts, name: str) -> UserError:
    """Return the error to raise for an input that the model does not have."""
    near = difflib.get_close_matches(name, [facts.name for facts in model.inputs], 1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return UserError(f"the model has no input {name!r}", f"{guess}Its inputs: {describe_inputs(model)}.")


def describe_inputs(model: ModelFacts) -> str:
    """Return names and shapes of the inputs, such as x:batchx3x224x224."""
    return format_shapes({facts.name: facts.shape for facts in model.inputs})


def _of_model(model: ModelFacts, given: Mapping[str, Shape]) -> dict[str, Shape]:
    inputs = {facts.name: facts for facts in model.inputs}
    checked: dict[str, Shape] = {}
    for written, shape in given.items():
        name = written if written != UNNAMED else _only_input(model, shape)
        if name not in inputs:
            raise unknown_input(model, name)
        if name in checked:
            raise UserError(f"the shape of the input {name!r} is given twice", "Give each input one shape.")
        _refuse_misfit(inputs[name], shape)
        checked[name] = shape
    return checked


def _only_input(model: ModelFacts, shape: Shape) -> str:
    if len(model.inputs) > 1:
        raise UserError(
            f"the shape {format_dims(shape)} names no input, and the model has {len(model.inputs)}",
            f"Write NAME:{format_dims(shape)}. The inputs: {describe_inputs(model)}.",
        )
    return model.inputs[0].name


def _refuse_misfit(facts: TensorFacts, shape: Shape) -> None:
    hint = f"The model says {format_shapes({facts.name: facts.shape})}."
    if len(shape) != len(facts.shape):
        raise UserError(
            f"the input {facts.name!r} has {len(facts.shape)} dimensions, not {len(shape)} as in "
            f"{format_dims(shape)}",
            hint,
        )
    for place, (dim, value) in enumerate(zip(facts.shape, shape, strict=True)):
        if isinstance(dim, int) and dim != value:
            raise UserError(
                f"dimension {place} of the input {facts.name!r} is fixed to {dim}, not {value}", hint
            )


def _refuse_disorder(facts: TensorFacts, of: ShapeRange) -> None:
    for place, (low, middle, high) in enumerate(zip(of.minimum, of.optimum, of.maximum, strict=True)):
        hint = f"Give {facts.name!r} shapes with minimum <= optimum <= maximum in every dimension."
        where = f"{_dim_name(facts, place)} of the input {facts.name!r}"
        if low > middle:
            raise UserError(f"the minimum {low} of {where} is above the optimum {middle}", hint)
        if middle > high:
            raise UserError(f"the optimum {middle} of {where} is above the maximum {high}", hint)


def _named_sizes(model: ModelFacts, given: Mapping[str, Shape]) -> dict[str, int]:
    """Return the size of each named dimension that was given; raises UserError if inputs disagree."""
    sizes: dict[str, int] = {}
    seen: dict[str, str] = {}
    for facts in model.inputs:
        for dim, size in zip(facts.shape, given.get(facts.name, ()), strict=False):
            if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
                raise UserError(
                    f"the dimension {dim!r} is {sizes[dim]} in {seen[dim]!r} and {size} in {facts.name!r}",
                    "Give it the same size wherever it occurs.",
                )
            seen.setdefault(str(dim), facts.name)
    return sizes


def _fill(model: ModelFacts, given: Mapping[str, Shape]) -> dict[str, Shape]:
    named = _named_sizes(model, given)
    return {
        facts.name: given[facts.name]
        if facts.name in given
        else tuple(dim if isinstance(dim, int) else named.get(str(dim), 1) for dim in facts.shape)
        for facts in model.inputs
    }


def _optimum_note(name: str, shape: Shape) -> str:
    return (
        f"input {name!r}: no optimum was given: {format_dims(shape)} is used "
        f"(--opt-shapes {format_shapes({name: shape})} to change)"
    )


def _filled_note(facts: TensorFacts, named: Mapping[str, int]) -> list[str]:
    """Return the note on dimensions that were not given, if there are any."""
    filled = [place for place, dim in enumerate(facts.shape) if not isinstance(dim, int) and dim not in named]
    if not filled:
        return []
    names = " and ".join(_dim_name(facts, place) for place in filled)
    verb = "is dynamic and was" if len(filled) == 1 else "are dynamic and were"
    example = [dim if isinstance(dim, int) else 32 if place else 8 for place, dim in enumerate(facts.shape)]
    return [
        f"input {facts.name!r}: {names} {verb} not given: 1 is used "
        f"(--shapes {format_shapes({facts.name: example})} to change)"
    ]


def _dim_name(facts: TensorFacts, place: int) -> str:
    dim = facts.shape[place]
    return f"dimension {dim!r}" if isinstance(dim, str) else f"dimension {place}"
