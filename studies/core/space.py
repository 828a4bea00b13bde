"""The space of candidates: the backend's dimensions, narrowed to the choices to search."""

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engines.core.errors import UserError
from engines.core.values import Candidate, Dimension, Settings, Value, text_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = Mapping[str, Value]
Space = tuple[Dimension, ...]


def parse_fixed(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return choices by name from NAME=VALUE or NAME=VALUE,VALUE; raises UserError for anything else."""
    fixed: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        chosen = tuple(value.strip() for value in values.split(",") if value.strip())
        if not separator or not name.strip() or not chosen:
            raise UserError(f"cannot read --fix {text!r}", "Write NAME=VALUE, such as --fix precision=fp32.")
        if name.strip() in fixed:
            raise UserError(f"--fix names {name.strip()!r} twice", "Name it once: NAME=VALUE,VALUE.")
        fixed[name.strip()] = chosen
    return fixed


def narrow(dimensions: Sequence[Dimension], fixed: Mapping[str, Sequence[str]]) -> Space:
    """Return the dimensions with only the choices named; raises UserError for names and values that do not
    exist.
    """
    known = {dimension.name: dimension for dimension in dimensions}
    for name in fixed:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            guess = f"Did you mean {near[0]}? " if near else ""
            raise UserError(f"the space has no dimension {name!r}", f"{guess}Known: {', '.join(known)}.")
    return tuple(
        replace(dimension, choices=_chosen(dimension, fixed[dimension.name]))
        if dimension.name in fixed
        else dimension
        for dimension in dimensions
    )


def settled(space: Sequence[Dimension], point: Point) -> dict[str, Value]:
    """The point with a value for every dimension: its only choice for one that is not named, and always the
    same for one that does not apply there, so that two points with the same value everywhere are the same.
    """
    found: dict[str, Value] = {}
    for dimension in space:
        value = point.get(dimension.name, dimension.choices[0])
        found[dimension.name] = value if applies(dimension, found) else idle(dimension)
    return found


def point_of(space: Sequence[Dimension], settings: Mapping[str, Value]) -> dict[str, Value]:
    """Return the searched part of a point, with a fixed value for inactive dimensions."""
    whole = settled(space, settings)
    return {one.name: whole[one.name] for one in searched(space)}


def candidate_at(space: Sequence[Dimension], point: Point) -> Candidate:
    """Return the candidate at a point of the space (see `settled`)."""
    values = settled(space, point)

    def settings(kind: str) -> Settings:
        return Settings({one.name: values[one.name] for one in space if one.kind == kind})

    return Candidate(graph=settings("graph"), build=settings("build"), run=settings("run"))


def baseline_of(dimensions: Sequence[Dimension]) -> Candidate:
    """Return the candidate of the vendor's defaults: every dimension at its default."""
    return candidate_at(dimensions, {dimension.name: dimension.default for dimension in dimensions})


def searched(space: Sequence[Dimension]) -> Space:
    """Return the dimensions that have more than one choice somewhere in the space."""
    choices = {dimension.name: dimension.choices for dimension in space}
    return tuple(
        dimension
        for dimension in space
        if len(dimension.choices) > 1
        and all(set(values) & set(choices.get(name, ())) for name, values in dimension.applies_to.items())
    )


def size(space: Sequence[Dimension]) -> int:
    """Count the different candidates."""
    deciding = {name for dimension in space for name in dimension.applies_to}
    deciders = [dimension for dimension in space if dimension.name in deciding]
    others = [dimension for dimension in space if dimension.name not in deciding]
    return sum(
        math.prod(len(dimension.choices) for dimension in others if applies(dimension, point))
        for point in points(deciders)
    )


def engines_in(space: Sequence[Dimension]) -> int:
    """Count the different engines; the other candidates only run one of them in another way."""
    return size([dimension for dimension in space if dimension.kind != "run"])


def graphs_in(space: Sequence[Dimension]) -> int:
    """Count the different graphs that engines are built from."""
    return size([dimension for dimension in space if dimension.kind == "graph"])


def points(space: Sequence[Dimension]) -> Iterable[Point]:
    """Return every different point, the last dimension changing fastest."""
    names = [dimension.name for dimension in space]
    for values in itertools.product(*(dimension.choices for dimension in space)):
        point = dict(zip(names, values, strict=True))
        if settled(space, point) == point:
            yield point


def contains(space: Sequence[Dimension], settings: Mapping[str, Value]) -> bool:
    """Return whether the settings, of every dimension, are a point of the space."""
    return all(
        dimension.name in settings
        and (settings[dimension.name] in dimension.choices or not applies(dimension, settings))
        for dimension in space
    )


def applies(dimension: Dimension, point: Point) -> bool:
    """Return whether the dimension is active at the point, which names the dimensions that it depends on."""
    return all(point.get(name) in values for name, values in dimension.applies_to.items())


def idle(dimension: Dimension) -> Value:
    """Return the value of a dimension that is inactive."""
    return dimension.default if dimension.default in dimension.choices else dimension.choices[0]


def _chosen(dimension: Dimension, wanted: Sequence[str]) -> tuple[Value, ...]:
    by_text = {text_of(choice).lower(): choice for choice in (*dimension.choices, *dimension.fixable)}
    for text in wanted:
        if text.lower() in dimension.excluded:
            reason = dimension.excluded[text.lower()]
            raise UserError(
                f"{dimension.name}={text} is not in the space: {reason}", _choices_hint(dimension)
            )
        if text.lower() not in by_text:
            if not dimension.any_integer or re.fullmatch(r"-?\d+", text) is None:
                raise UserError(f"{dimension.name} cannot be {text!r}", _choices_hint(dimension))
            by_text[text.lower()] = int(text)
    return tuple(choice for text, choice in by_text.items() if text in {value.lower() for value in wanted})


def _choices_hint(dimension: Dimension) -> str:
    values = dict.fromkeys(text_of(choice) for choice in (*dimension.choices, *dimension.fixable))
    return f"It can be {', '.join(values)}{', or any other integer' if dimension.any_integer else ''}."


def distributions(space: Space) -> "dict[str, BaseDistribution]":
    """Return the searched dimensions as Optuna distributions."""
    # reports need the space and not Optuna
    from optuna.distributions import CategoricalDistribution

    return {one.name: CategoricalDistribution(one.choices) for one in searched(space)}
