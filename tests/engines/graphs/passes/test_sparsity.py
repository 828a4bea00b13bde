from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from engines.graphs.passes.sparsity import is_sparse, structured_share
from examples import models

Weight = NDArray[np.float32]


def _dense(*shape: int) -> Weight:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _pruned(weight: Weight, axis: int) -> Weight:
    """Two of every four along the axis are zero, not always the same."""
    groups = np.moveaxis(weight.copy(), axis, -1)
    shape = groups.shape
    groups = groups.reshape(-1, 4)
    random = np.random.default_rng(1)
    for values in groups:
        values[random.permutation(4)[:2]] = 0
    return np.moveaxis(groups.reshape(shape), -1, axis)


def _model(nodes: Sequence[NodeProto], **weights: NDArray[np.generic]) -> ModelProto:
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    return helper.make_model(helper.make_graph(nodes, "sparse", [], [], tensors))


def _node(operator: str, *inputs: str, output: str = "y", **attributes: object) -> NodeProto:
    return helper.make_node(operator, list(inputs), [output], **attributes)


@pytest.mark.parametrize("name", models.NAMES)
def test_dense_weights_have_no_structure(name: str) -> None:
    assert structured_share(models.NAMES[name]()) == 0


@pytest.mark.parametrize(
    ("node", "shape", "axis"),
    [
        (_node("Conv", "x", "w"), (8, 16, 3, 3), 1),
        (_node("MatMul", "x", "w"), (16, 12), 0),
        (_node("MatMul", "x", "w"), (3, 16, 12), 1),
        (_node("MatMul", "w", "x"), (12, 16), 1),
        (_node("Gemm", "x", "w"), (16, 12), 0),
        (_node("Gemm", "x", "w", transB=1), (12, 16), 1),
        (_node("Gemm", "w", "x", transA=1), (16, 12), 0),
    ],
)
def test_sparsity_counts_along_the_summed_axis(node: NodeProto, shape: tuple[int, ...], axis: int) -> None:
    weight = _dense(*shape)
    assert structured_share(_model([node], w=_pruned(weight, axis))) == 1
    other = {0: 1, 1: 0}[axis]
    assert structured_share(_model([node], w=_pruned(weight, other))) == 0


def test_one_group_with_a_single_zero_spoils_its_tensor() -> None:
    weight = _pruned(_dense(16, 12), 0)
    weight[:4, 5] = (0, 1, 1, 1)
    assert structured_share(_model([_node("MatMul", "x", "w")], w=weight)) == 0


def test_half_of_zeros_without_structure_is_none() -> None:
    weight = _dense(16, 12)
    weight[:8] = 0
    assert structured_share(_model([_node("MatMul", "x", "w")], w=weight)) == 0


def test_the_share_is_by_count_of_weights_that_can_be_structured() -> None:
    nodes = [
        _node("MatMul", "x", "sparse", output="a"),
        _node("MatMul", "a", "dense", output="b"),
        _node("MatMul", "b", "odd", output="c"),
        _node("Add", "c", "bias"),
    ]
    weights = {
        "sparse": _pruned(_dense(8, 12), 0),
        "dense": _dense(12, 24),
        "odd": _dense(6, 2),
        "bias": _dense(999),
    }
    assert structured_share(_model(nodes, **weights)) == 96 / (96 + 288)


def test_a_weight_that_is_used_twice_counts_once() -> None:
    nodes = [
        _node("MatMul", "x", "w", output="a"),
        _node("MatMul", "a", "w", output="b"),
        _node("MatMul", "b", "v"),
    ]
    model = _model(nodes, w=_pruned(_dense(16, 16), 0), v=_dense(16, 16))
    assert structured_share(model) == 0.5


def test_weights_are_found_behind_transposes_casts_and_quantization() -> None:
    weight = _pruned(_dense(16, 12), 0)
    nodes = [
        _node("QuantizeLinear", "w", "scale", "zero", output="q"),
        _node("DequantizeLinear", "q", "scale", "zero", output="d"),
        _node("Transpose", "d", output="t", perm=[1, 0]),
        _node("MatMul", "x", "t"),
    ]
    scale, zero = np.array(0.01, np.float32), np.array(0, np.int8)
    assert structured_share(_model(nodes, w=np.ascontiguousarray(weight.T), scale=scale, zero=zero)) == 1
    assert structured_share(_model(nodes, w=weight[:12], scale=scale, zero=zero)) == 0


def test_weights_in_16_bits_count_too() -> None:
    weight = _pruned(_dense(16, 12), 0).astype(ml_dtypes.bfloat16)
    assert structured_share(_model([_node("MatMul", "x", "w")], w=weight)) == 1


def test_a_model_without_products_has_none() -> None:
    assert structured_share(_model([_node("Relu", "x")])) == 0


def test_a_file_is_sparse_when_its_weights_are(tmp_path: Path) -> None:
    for name, weight in {"sparse": _pruned(_dense(16, 12), 0), "dense": _dense(16, 12)}.items():
        model = _model([_node("MatMul", "x", "w")], w=weight)
        onnx.save(
            model, tmp_path / f"{name}.onnx", save_as_external_data=True, location=name, size_threshold=0
        )
    assert is_sparse(tmp_path / "sparse.onnx")
    assert not is_sparse(tmp_path / "dense.onnx")
