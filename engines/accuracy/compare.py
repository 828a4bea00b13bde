"""Compare the tensors of two graphs or engines that were run on the same inputs.

The first of the two is the reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engines.accuracy import errors
from engines.core.errors import EngineError
from engines.core.results import OutputError
from engines.core.values import Shape, Tensors

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Compared:
    """A tensor that both have: its shapes and types, and the error of the second.

    `error` is None if they cannot be compared, for the reason in `problem`.
    """

    name: str
    shapes: tuple[Shape, Shape]
    dtypes: tuple[str, str]
    error: OutputError | None
    problem: str = ""

    def is_beyond(self, limit: float) -> bool:
        return self.error is None or self.error.relative_l2 > limit


@dataclass(frozen=True)
class NodeCompared:
    """A tensor inside two ONNX graphs, and the node of the first that computes it.

    `inputs` are the compared tensors that the node reads, casts left out. `conversions` are the operators
    that come before the node in the second graph only.
    """

    compared: Compared
    node: str
    operator: str
    inputs: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Return the outputs that both have, in the first one's order, and those that only one has."""

    outputs: tuple[Compared, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    def is_beyond(self, limit: float) -> bool:
        return any(output.is_beyond(limit) for output in self.outputs)


def compare_outputs(first: Sequence[Tensors], second: Sequence[Tensors]) -> Comparison:
    """Return the worst error of each output over all batches of inputs, the same number for both."""
    names, others = list(first[0]), list(second[0])
    outputs = [
        worst([compare_tensor(name, one[name], two[name]) for one, two in zip(first, second, strict=True)])
        for name in names
        if name in others
    ]
    return Comparison(
        tuple(outputs),
        only_first=tuple(name for name in names if name not in others),
        only_second=tuple(name for name in others if name not in names),
    )


def compare_tensor(name: str, first: Array, second: Array) -> Compared:
    """Compare one tensor of both; numbers of different types are compared as numbers."""
    shapes, dtypes = (first.shape, second.shape), (first.dtype.name, second.dtype.name)
    if dtypes[0] != dtypes[1] and _is_numeric(first) and _is_numeric(second):
        first, second = first.astype(np.float64), second.astype(np.float64)
    try:
        (error,) = errors.compare({name: first}, {name: second})
    except EngineError as refusal:
        return Compared(name, shapes, dtypes, error=None, problem=refusal.message)
    return Compared(name, shapes, dtypes, error)


def worst(same: Sequence[Compared]) -> Compared:
    """Return the worst error of one tensor over several batches, and the share of rows that agree in
    top-1.
    """
    for found in same:
        if found.error is None:
            return found
    (error,) = errors.over_batches([(found.error,) for found in same if found.error is not None])
    return replace(same[0], error=error)


def joined(outputs: Sequence[Tensors], like: Mapping[str, Array]) -> Tensors:
    """Join the outputs of all batches into one array each. If the last batch was filled up, it is cut to the
    rows of the array of the same name in `like`.
    """
    return {name: _joined([batch[name] for batch in outputs], like.get(name)) for name in outputs[0]}


def _joined(parts: Sequence[Array], like: Array | None) -> Array:
    if like is None or (len(parts) == 1 and like.ndim == parts[0].ndim == 0):
        return parts[0]
    if like.ndim == parts[0].ndim + 1:
        return np.stack(parts)
    if not parts[0].ndim:
        return np.stack(parts)
    whole = np.concatenate(parts)
    rows = len(like) if like.ndim else len(whole)
    return whole[:rows] if len(whole) - len(parts[-1]) < rows else whole


def _is_numeric(array: Array) -> bool:
    return array.dtype.kind in "fiuV"
