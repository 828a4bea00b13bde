from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from engines.graphs.passes import half_precision
from engines.models import onnx_files
from engines.models.given_precision import arrived_as
from engines.models.read import read_model
from examples import models


def _file(folder: Path, nodes: Sequence[NodeProto], *, external: bool = False, **weights: DTypeLike) -> Path:
    tensors = [numpy_helper.from_array(np.ones((8, 8), dtype), name) for name, dtype in weights.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8, 8]) for name in "xy"]
    opsets = [
        helper.make_opsetid("", 21),
        helper.make_opsetid("com.microsoft", 1),
        helper.make_opsetid("trt", 1),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "arrived", ends[:1], ends[1:], tensors), opset_imports=opsets
    )
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=external, location="weights", size_threshold=0)
    return path


def _arrived(path: Path) -> str | None:
    return arrived_as(read_model(path), path)


def _node(operator: str, *inputs: str, output: str = "y", domain: str = "") -> NodeProto:
    return helper.make_node(operator, list(inputs), [output], domain=domain)


@pytest.mark.parametrize("name", models.NAMES)
def test_an_example_arrives_in_fp32(name: str, tmp_path: Path) -> None:
    onnx.save(models.NAMES[name](), tmp_path / "model.onnx")
    assert _arrived(tmp_path / "model.onnx") is None


@pytest.mark.parametrize(
    ("operator", "domain"),
    [
        ("QuantizeLinear", ""),
        ("DequantizeLinear", ""),
        ("DynamicQuantizeLinear", ""),
        ("QLinearConv", ""),
        ("MatMulInteger", ""),
        ("ConvInteger", ""),
        ("DequantizeLinear", "com.microsoft"),
        ("MatMulNBits", "com.microsoft"),
        ("MatMulIntegerToFloat", "com.microsoft"),
        ("QGemm", "com.microsoft"),
        ("TRT_FP8QuantizeLinear", "trt"),
    ],
)
def test_operators_of_quantized_models_are_recognised(operator: str, domain: str, tmp_path: Path) -> None:
    path = _file(tmp_path, [_node(operator, "x", domain=domain)])
    assert _arrived(path) == "quantized"


@pytest.mark.parametrize(("dtype", "name"), [(np.float16, "fp16"), (ml_dtypes.bfloat16, "bf16")])
@pytest.mark.parametrize("external", [False, True])
def test_weights_of_16_bits_are_recognised(
    dtype: DTypeLike, name: str, external: bool, tmp_path: Path
) -> None:
    path = _file(tmp_path, [_node("MatMul", "x", "w")], external=external, w=dtype)
    assert _arrived(path) == name


def test_most_weights_by_bytes_decide(tmp_path: Path) -> None:
    nodes = [
        _node("MatMul", "x", "a", output="p"),
        _node("MatMul", "p", "b", output="q"),
        _node("MatMul", "q", "c"),
    ]
    # two of three, but no more bytes than the third
    path = _file(tmp_path, nodes, a=np.float16, b=np.float16, c=np.float32)
    assert _arrived(path) is None


def test_tables_and_integers_say_nothing_where_there_are_products(tmp_path: Path) -> None:
    nodes = [
        _node("Add", "x", "table", output="p"),
        _node("Add", "p", "other", output="q"),
        _node("MatMul", "q", "w"),
    ]
    assert _arrived(_file(tmp_path, nodes, table=np.float32, other=np.float32, w=np.float16)) == "fp16"


def test_without_products_all_weights_count(tmp_path: Path) -> None:
    assert _arrived(_file(tmp_path, [_node("Add", "x", "w")], w=np.float16)) == "fp16"


def test_a_model_without_weights_is_fp32(tmp_path: Path) -> None:
    assert _arrived(_file(tmp_path, [_node("Relu", "x")])) is None


@pytest.mark.parametrize("to", ["fp16", "bf16"])
def test_what_the_converter_makes_would_arrive_as_that(to: str, tmp_path: Path) -> None:
    model = models.NAMES["transformer"]()
    onnx_files.name_nodes(model)
    onnx.save(half_precision.lower(model, to, frozenset()), tmp_path / "model.onnx")
    assert _arrived(tmp_path / "model.onnx") == to
