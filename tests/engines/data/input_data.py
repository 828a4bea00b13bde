"""A model of three inputs, and files of data for it, good ones or refused."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, Shape, TensorFacts, Tensors
from engines.data.inputs_file import check_inputs_file
from engines.shapes.resolve import batch_of, resolve
from tests.workloads import file_at

Array = NDArray[np.generic]

MODEL = ModelFacts(
    file_at("m.onnx"),
    (
        TensorFacts("ids", "int64", ("batch", "sequence")),
        TensorFacts("scale", "float32", ("batch", 2)),
        TensorFacts("bias", "float32", (3,)),
    ),
    (),
    17,
    {},
    0,
    0,
    {"ids": 10},
)
SHAPES: Mapping[str, Shape] = {"ids": (4, 5)}


def good(**other: Array) -> Tensors:
    return {
        "ids": np.arange(35).reshape(7, 5) % 10,
        "scale": np.ones((7, 2), np.float32),
        "bias": np.zeros(3, np.float32),
        **other,
    }


def saved(folder: Path, tensors: Mapping[str, Array]) -> Path:
    path = folder / "data.npz"
    np.savez(path, **tensors)  # type: ignore[arg-type]  # its own options are keywords too
    return path


def fixed(*shape: int) -> ModelFacts:
    return ModelFacts(file_at("m.onnx", "0"), (TensorFacts("x", "float32", shape),), (), 17, {}, 0, 0)


def checked(path: Path, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES) -> InputSource:
    ranges, _ = resolve(model, shapes)
    return check_inputs_file(model, ranges, batch_of(model, ranges)[1], path)


def refusal(path: Path, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES) -> UserError:
    with pytest.raises(UserError) as caught:
        checked(path, model, shapes)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value
