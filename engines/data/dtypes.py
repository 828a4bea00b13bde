"""Element types by name: numpy's own, and those that the ml_dtypes package adds, such as bfloat16."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import UserError


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Return the type of this name, str_ for string; raises UserError if ml_dtypes is needed and missing."""
    if name == "string":
        return np.dtype(np.str_)
    try:
        return np.dtype(name)
    except TypeError:
        return _extension(name)


def as_dtype(array: NDArray[np.generic], name: str) -> NDArray[np.generic] | None:
    """Return the array with the named type; None if its values are of another type.

    numpy's files keep the bytes of extension types but lose their names, so raw bytes of the right width are
    accepted for them.
    """
    dtype = numpy_dtype(name)
    if name == "string":
        return array if array.dtype.kind == "U" else None
    if array.dtype.kind == "V" and dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize:
        return array.view(dtype)
    if array.dtype.name != dtype.name:
        return None
    return array.astype(dtype, copy=False)


def _extension(name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes  # only models with such types need it
    except ImportError as error:
        raise UserError(
            f"the type {name} needs the ml_dtypes package", "Install it: pip install ml_dtypes."
        ) from error
    found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return found
