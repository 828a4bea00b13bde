"""Make the inputs of a workload: random from a seed, or cut from a file of the user's."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, Shape, TensorFacts, Tensors, Workload
from engines.data.dtypes import numpy_dtype
from engines.data.inputs_file import check_inputs_file, read_batches
from engines.shapes.plan import case_shapes

__all__ = ["RANDOM_BATCHES", "check_inputs_file", "make_inputs"]

RANDOM_BATCHES = 4

Array = NDArray[np.generic]


def make_inputs(workload: Workload, batch: int, case: int = 0) -> list[Tensors]:
    """Return batches of inputs at the shapes of a case with this batch; the same on every call.

    From a file there are as many batches as its samples fill, the last one filled up from the first samples;
    from a seed there are RANDOM_BATCHES. Raises UserError for a file that is gone, and for an input whose
    type has no random data.
    """
    shapes = case_shapes(workload, batch, case)
    if workload.inputs.file is not None:
        return read_batches(workload.inputs.file.path, workload.model, shapes)
    return _random_batches(workload.model, shapes, workload.inputs)


def _random_batches(model: ModelFacts, shapes: Mapping[str, Shape], source: InputSource) -> list[Tensors]:
    streams = {facts.name: _stream(source.seed, facts.name) for facts in model.inputs}
    return [
        {
            facts.name: _random(streams[facts.name], facts, shapes[facts.name], model.index_limits)
            for facts in model.inputs
        }
        for _ in range(RANDOM_BATCHES)
    ]


def _stream(seed: int, name: str) -> np.random.Generator:
    """Return a random stream for each input, so that their order does not change the data."""
    return np.random.default_rng(list(hashlib.sha256(f"{seed}/{name}".encode()).digest()))


def _random(
    stream: np.random.Generator, facts: TensorFacts, shape: Shape, index_limits: Mapping[str, int]
) -> Array:
    dtype = numpy_dtype(facts.dtype)
    if facts.name in index_limits:
        return np.asarray(stream.integers(0, max(index_limits[facts.name], 1), shape), dtype)
    if facts.dtype == "bool":
        return _random_choice(stream, shape)
    if facts.dtype in ("uint8", "int8") and len(shape) >= 3:
        # with this many dimensions it is an image or a quantized tensor, not a mask
        limits = np.iinfo(dtype)
        return stream.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    if "int" in facts.dtype:
        return _random_count(stream, shape).astype(dtype)
    if "float" in facts.dtype:
        return np.asarray(stream.standard_normal(shape)).astype(dtype)
    raise UserError(
        f"no random data can be made for the input {facts.name!r} of type {facts.dtype}",
        f"Give data for it: --inputs data.npz, written by np.savez('data.npz', {facts.name}=...).",
    )


def _random_count(stream: np.random.Generator, shape: Shape) -> NDArray[np.int64]:
    """Return random 0 and 1, the first of each row 1: a mask has no empty row, a count is not 0."""
    values = np.asarray(stream.integers(0, 2, shape))
    np.atleast_1d(values)[..., :1] = 1
    return values


def _random_choice(stream: np.random.Generator, shape: Shape) -> Array:
    """Return random truth values; a row of two or more has both, since a mask may hide either."""
    values = np.asarray(stream.integers(0, 2, shape), np.bool_)
    if shape and shape[-1] >= 2:
        values[..., 0] = True
        values[..., -1] = False
    return values
