"""How far an engine's outputs are from the reference."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.values import Accuracy, OutputError, Tensors


def compare(reference: Tensors, outputs: Tensors) -> tuple[OutputError, ...]:
    """The error of each output; raises EngineError where one is missing, has another type or shape, or is
    not finite where the reference is.
    """
    missing = sorted(reference.keys() - outputs.keys())
    if missing:
        raise EngineError(f"the engine has no output {missing[0]!r}", kind="wrong_output")
    return tuple(_compare_output(name, reference[name], outputs[name]) for name in reference)


def worst(errors: Sequence[tuple[OutputError, ...]], samples: int) -> Accuracy:
    """The largest error of each output over several comparisons."""
    return Accuracy(
        outputs=tuple(
            OutputError(
                name=same[0].name,
                relative_l2=max(error.relative_l2 for error in same),
                max_abs=max(error.max_abs for error in same),
            )
            for same in zip(*errors, strict=True)
        ),
        samples=samples,
    )


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
        return OutputError(name, relative_l2=unequal, max_abs=float(unequal > 0))
    return _numeric_error(name, expected.astype(np.float64), actual.astype(np.float64))


def _numeric_error(name: str, expected: NDArray[np.float64], actual: NDArray[np.float64]) -> OutputError:
    finite = np.isfinite(expected)
    if not np.isfinite(actual[finite]).all():
        bad = int(np.count_nonzero(~np.isfinite(actual[finite])))
        raise EngineError(f"output {name!r} has {bad} NaN or infinite values", kind="not_finite")
    if not np.array_equal(actual[~finite], expected[~finite], equal_nan=True):
        raise EngineError(
            f"output {name!r} differs where the reference is NaN or infinite", kind="not_finite"
        )
    difference = actual[finite] - expected[finite]
    norm = float(np.linalg.norm(expected[finite]))
    distance = float(np.linalg.norm(difference))
    # a reference of zeros has no scale of its own, so the distance itself is the error
    relative = distance / norm if norm > 0 else distance
    if not np.isfinite(relative):
        raise EngineError(f"output {name!r} is too large to be compared", kind="not_finite")
    return OutputError(name, relative, max_abs=float(np.abs(difference).max(initial=0.0)))
