"""Describe an engine file: its inputs and outputs as the engine reports them."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.backends.tensorrt.run.lane import DTYPES
from engines.core.errors import EngineError
from engines.core.values import ShapeRange, TensorFacts

# engines that have several are run in this one
PROFILE = 0


@contextmanager
def in_folder(path: Path, name: str) -> Iterator[Path]:
    """A folder in which the file has the name that the backend looks for."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).symlink_to(path.resolve())
        yield Path(folder)


def tensors(module: Any, engine: Any, mode: str) -> tuple[TensorFacts, ...]:
    """Its tensors of a mode, INPUT or OUTPUT; raises EngineError for a type that numpy has no name for."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    wanted = getattr(module.TensorIOMode, mode)
    return tuple(_facts(engine, name) for name in names if engine.get_tensor_mode(name) == wanted)


def ranges(engine: Any, inputs: tuple[TensorFacts, ...]) -> Mapping[str, ShapeRange]:
    """The shapes that the engine takes in its first profile, by input."""
    return {facts.name: _range(engine, facts) for facts in inputs}


def _facts(engine: Any, name: str) -> TensorFacts:
    dtype = engine.get_tensor_dtype(name).name
    if dtype not in DTYPES:
        raise EngineError(f"the tensor {name!r} has the type {dtype}, which is not supported yet")
    shape = tuple(size if size >= 0 else None for size in engine.get_tensor_shape(name))
    return TensorFacts(name, DTYPES[dtype], shape)


def _range(engine: Any, facts: TensorFacts) -> ShapeRange:
    """What is fixed has no range in a profile."""
    if None not in facts.shape:
        fixed = tuple(size for size in facts.shape if isinstance(size, int))
        return ShapeRange(fixed, fixed, fixed)
    return ShapeRange(*(tuple(shape) for shape in engine.get_tensor_profile_shape(facts.name, PROFILE)))
