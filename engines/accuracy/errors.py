"""Compute the errors of an engine's outputs against the reference."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import EngineError
from engines.core.results import Accuracy, OutputError
from engines.core.values import Tensors

# values of an output per step: they fit the cache, and BLAS starts no threads for them
PIECE = 8192
# sums of squares between these have neither overflowed nor underflowed in FP64
SQUARES = (1e-280, 1e300)


def compare(reference: Tensors, outputs: Tensors) -> tuple[OutputError, ...]:
    """Return the error of each output; raises EngineError if one is missing, has another type or shape, or is
    not finite where the reference is.
    """
    missing = sorted(reference.keys() - outputs.keys())
    if missing:
        raise EngineError(f"the engine has no output {missing[0]!r}", kind="wrong_output")
    return tuple(_compare_output(name, reference[name], outputs[name]) for name in reference)


# how to pick the worst of several values of a measure
_WORST: Mapping[str, Callable[[list[float]], float]] = {
    "relative_l2": max,
    "max_abs": max,
    "mean_abs": max,
    "cosine": min,
    "top1": min,
}


def worst(errors: Sequence[tuple[OutputError, ...]], samples: int) -> Accuracy:
    """Return the worst of each measure of every output over several comparisons; None if none has it."""
    return Accuracy(tuple(_worst_of(same) for same in zip(*errors, strict=True)), samples)


def over_batches(errors: Sequence[tuple[OutputError, ...]]) -> tuple[OutputError, ...]:
    """Merge the comparisons of equal batches: the worst of each error, and the top-1 share of all rows.

    The worst batch's share would not do: at batch 1, one disagreeing sample of a hundred would make it 0.
    """
    return tuple(replace(_worst_of(same), top1=_mean_top1(same)) for same in zip(*errors, strict=True))


def _worst_of(same: Sequence[OutputError]) -> OutputError:
    measures: dict[str, Any] = {}
    for name, pick in _WORST.items():
        known = [value for error in same if (value := getattr(error, name)) is not None]
        measures[name] = pick(known) if known else None
    return OutputError(same[0].name, **measures)


def _mean_top1(same: Sequence[OutputError]) -> float | None:
    known = [error.top1 for error in same if error.top1 is not None]
    return float(np.mean(known)) if known else None


def _compare_output(name: str, expected: NDArray[np.generic], actual: NDArray[np.generic]) -> OutputError:
    if actual.shape != expected.shape:
        raise EngineError(
            f"output {name!r} has shape {actual.shape}, not {expected.shape}", kind="wrong_output"
        )
    if actual.dtype != expected.dtype:
        raise EngineError(
            f"output {name!r} has type {actual.dtype}, not {expected.dtype}", kind="wrong_output"
        )
    if expected.dtype.kind not in "fiubV":
        unequal = float(np.mean(actual != expected)) if actual.size else 0.0
        return OutputError(name, relative_l2=unequal, max_abs=float(unequal > 0), mean_abs=unequal)
    error = _numeric_error(name, expected, actual)
    return replace(error, top1=_agreement(expected, actual)) if _ranks(expected) else error


def _numeric_error(name: str, expected: NDArray[np.generic], actual: NDArray[np.generic]) -> OutputError:
    expected, actual = _finite(name, expected.ravel(), actual.ravel())
    sums = _sums(expected, actual)
    norm, distance = math.sqrt(sums.expected), math.sqrt(sums.difference)
    # a reference of zeros has no scale, so the absolute distance is the error
    relative = distance / norm if norm > 0 else distance
    if not math.isfinite(relative):
        raise EngineError(f"output {name!r} is too large to be compared", kind="not_finite")
    return OutputError(
        name,
        relative,
        max_abs=sums.largest,
        mean_abs=sums.distance / expected.size if expected.size else 0.0,
        cosine=_cosine(sums, expected, actual),
    )


def _finite(
    name: str, expected: NDArray[np.generic], actual: NDArray[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return the values where the reference is finite; raises EngineError if the other is not finite
    there.
    """
    finite, found = np.isfinite(expected), np.isfinite(actual)
    if finite.all() and found.all():
        return expected, actual
    bad = int(np.count_nonzero(finite & ~found))
    if bad:
        raise EngineError(f"output {name!r} has {bad} NaN or infinite values", kind="not_finite")
    given, other = (values[~finite].astype(np.float64) for values in (expected, actual))
    if not np.array_equal(given, other, equal_nan=True):
        raise EngineError(
            f"output {name!r} differs where the reference is NaN or infinite", kind="not_finite"
        )
    return expected[finite], actual[finite]


@dataclass
class _Sums:
    """Sums over all values: of squares, of products, and of squared differences."""

    expected: float = 0.0
    actual: float = 0.0
    product: float = 0.0
    difference: float = 0.0
    distance: float = 0.0
    largest: float = 0.0


@np.errstate(over="ignore", invalid="ignore")
def _sums(expected: NDArray[np.generic], actual: NDArray[np.generic]) -> _Sums:
    """Compute the sums in FP64, a piece at a time: copying large outputs would take longer than the sums."""
    sums = _Sums()
    for start in range(0, expected.size, PIECE):
        one, other = (values[start : start + PIECE].astype(np.float64) for values in (expected, actual))
        sums.expected += float(np.dot(one, one))
        sums.actual += float(np.dot(other, other))
        sums.product += float(np.dot(one, other))
        difference = np.subtract(other, one, out=one)
        sums.difference += float(np.dot(difference, difference))
        distances = np.abs(difference, out=difference)
        sums.distance += float(distances.sum())
        sums.largest = max(sums.largest, float(distances.max()))
    return sums


def _cosine(sums: _Sums, expected: NDArray[np.generic], actual: NDArray[np.generic]) -> float:
    """Return the cosine of the angle between the two; 1 if both are zero, 0 if only one is."""
    if not all(SQUARES[0] < square < SQUARES[1] for square in (sums.expected, sums.actual)):
        given, found = (_scaled(values) for values in (expected, actual))
        sums = _sums(given, found)
    lengths = math.sqrt(sums.expected) * math.sqrt(sums.actual)
    if lengths == 0:
        return float(sums.expected == sums.actual)
    return float(np.clip(sums.product / lengths, -1.0, 1.0))


def _scaled(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Scale the values to at most 1, so that no square overflows or underflows in FP64."""
    exact = values.astype(np.float64)
    return exact / (np.abs(exact).max(initial=0.0) or 1.0)


def _ranks(values: NDArray[np.generic]) -> bool:
    """Return whether each row holds scores of which one is the highest."""
    return values.dtype.kind in "fV" and values.ndim == 2 and values.shape[0] > 0 and values.shape[1] >= 2


def _agreement(expected: NDArray[np.generic], actual: NDArray[np.generic]) -> float:
    """Return the share of rows whose highest score is one of the highest in the reference."""
    scores, found = (
        np.nan_to_num(values.astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        for values in (expected, actual)
    )
    chosen = np.take_along_axis(scores, found.argmax(axis=1, keepdims=True), axis=1)[:, 0]
    return float(np.mean(chosen == scores.max(axis=1)))
