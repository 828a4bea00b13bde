"""What an engine of TensorRT says itself of its inputs and outputs."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.backends.tensorrt.inspect.plan import in_folder, ranges, tensors
from engines.core.errors import EngineError
from engines.core.values import Shape, ShapeRange, TensorFacts
from tests.engines.backends.tensorrt.fakes import enum

MODES = enum("TensorIOMode", "NONE", "INPUT", "OUTPUT")
TYPES = enum("DataType", "FLOAT", "HALF", "INT64", "FP4")
SHAPES: dict[str, Shape] = {"x": (-1, 3, 12), "mask": (4,), "y": (-1, 5)}
MODULE = SimpleNamespace(TensorIOMode=MODES)


class Engine:
    """An engine of two inputs, one of them of fixed shape, and an output."""

    num_io_tensors = 3
    input_type = TYPES.HALF

    def get_tensor_name(self, index: int) -> str:
        return list(SHAPES)[index]

    def get_tensor_mode(self, name: str) -> object:
        return MODES.OUTPUT if name == "y" else MODES.INPUT

    def get_tensor_shape(self, name: str) -> Shape:
        return SHAPES[name]

    def get_tensor_dtype(self, name: str) -> object:
        return {"x": self.input_type, "mask": TYPES.INT64, "y": TYPES.FLOAT}[name]

    def get_tensor_profile_shape(self, name: str, profile: int) -> Sequence[Shape]:
        assert (name, profile) == ("x", 0), "what is fixed has no profile"
        return [(1, 3, 12), (8, 3, 12), (32, 3, 12)]


class OddEngine(Engine):
    input_type = TYPES.FP4


def test_inputs_and_outputs_are_listed_with_numpy_types() -> None:
    assert tensors(MODULE, Engine(), "INPUT") == (
        TensorFacts("x", "float16", (None, 3, 12)),
        TensorFacts("mask", "int64", (4,)),
    )
    assert tensors(MODULE, Engine(), "OUTPUT") == (TensorFacts("y", "float32", (None, 5)),)


def test_shapes_are_those_of_the_first_profile() -> None:
    assert ranges(Engine(), tensors(MODULE, Engine(), "INPUT")) == {
        "x": ShapeRange((1, 3, 12), (8, 3, 12), (32, 3, 12)),
        "mask": ShapeRange((4,), (4,), (4,)),
    }


def test_a_type_without_a_name_in_numpy_is_refused() -> None:
    with pytest.raises(EngineError, match="'x' has the type FP4"):
        tensors(MODULE, OddEngine(), "INPUT")


def test_a_plan_has_the_name_that_the_backend_looks_for(tmp_path: Path) -> None:
    plan = tmp_path / "net.trt"
    plan.write_bytes(b"a plan")
    with in_folder(plan, "engine.plan") as folder:
        assert (folder / "engine.plan").read_bytes() == b"a plan"
    assert not folder.exists()
    assert plan.read_bytes() == b"a plan"
