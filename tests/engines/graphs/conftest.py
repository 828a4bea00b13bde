from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.engines.graphs import running
from tests.engines.graphs.recipes import Maker
from tests.workloads import example, tiny_conv, workload_of


@pytest.fixture
def mlp(tmp_path: Path) -> Maker:
    return Maker(tmp_path, example("mlp", tmp_path, features=(4, 64)))


@pytest.fixture
def cnn(tmp_path: Path) -> Maker:
    """A convolution behind which there are enough products for int8 and int4 without it."""
    path = tiny_conv(tmp_path)
    model = onnx.load(path)
    model.graph.output[0].name = "classified"
    model.graph.node[-1].output[0] = "classified"
    random = np.random.default_rng(8)
    names = ["classified", "first", "second", "y"]
    for before, after in pairwise(names):
        weight = random.normal(size=(5, 5)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weight, f"{after}_weight"))
        model.graph.node.append(helper.make_node("MatMul", [before, f"{after}_weight"], [after], name=after))
    model.graph.output[0].name = "y"
    onnx.save(model, path)
    return Maker(tmp_path, workload_of(path))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx.save(running.example("mlp"), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"
