"""What the gates simulate, against the graphs that are really lowered."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from engines.core.values import Tensors
from engines.data.inputs import make_inputs
from engines.graphs.analysis.gating import gated, rounded_weight
from engines.graphs.analysis.sensitivity import GatedSession, error_of
from engines.graphs.passes.half_precision import lower
from engines.graphs.passes.qdq import insert_qdq
from engines.graphs.passes.selection import lowerable, sites
from engines.graphs.passes.weight_only import quantize_int4
from engines.models import onnx_files
from examples import models
from tests.workloads import example

Ranges = Mapping[str, float]


def _batch(name: str, folder: Path) -> Tensors:
    optimum = {"input_ids": (4, 12), "attention_mask": (4, 12)} if name == "transformer" else {}
    return make_inputs(example(name, folder, **optimum), 4)[0]


def _outputs(model: onnx.ModelProto, batch: Tensors) -> Tensors:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, batch), strict=True))


def _ranges(model: onnx.ModelProto, batch: Tensors) -> dict[str, float]:
    tapped = onnx_files.copy_of(model)
    names = {site.tensor for site in sites(model, "int8") if not site.is_weight}
    tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(names - batch.keys()))
    found = {**batch, **_outputs(tapped, batch)}
    return {name: float(np.abs(found[name]).max()) for name in names}


def _simulated(
    model: onnx.ModelProto, precision: str, ranges: Ranges, batch: Tensors, folder: Path, on: bool
) -> Tensors:
    nodes = lowerable(model, precision)
    session = GatedSession(gated(model, precision, ranges, nodes), folder)
    return session.run(batch, np.full(len(nodes), on))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8", "fp8", "int4"])
@pytest.mark.parametrize("name", ["residual_cnn", "transformer"])
def test_with_no_gate_open_the_model_is_as_it_was(name: str, precision: str, tmp_path: Path) -> None:
    model, batch = models.NAMES[name](), _batch(name, tmp_path)
    outputs = _simulated(model, precision, _ranges(model, batch), batch, tmp_path, False)
    assert error_of(_outputs(model, batch), outputs) < 1e-6


@pytest.mark.parametrize("name", ["mlp", "residual_cnn", "transformer", "mixed_types"])
@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_with_all_gates_open_it_is_the_quantized_graph(name: str, precision: str, tmp_path: Path) -> None:
    model, batch = models.NAMES[name](), _batch(name, tmp_path)
    ranges = _ranges(model, batch)
    real = _outputs(insert_qdq(model, precision, ranges, frozenset()), batch)
    assert error_of(_outputs(model, batch), real) > 1e-3
    assert error_of(real, _simulated(model, precision, ranges, batch, tmp_path, True)) < 1e-4


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_with_all_gates_open_it_is_the_graph_with_int4_weights(name: str, tmp_path: Path) -> None:
    model, batch = models.NAMES[name](), _batch(name, tmp_path)
    real = _outputs(quantize_int4(model, frozenset()), batch)
    assert error_of(_outputs(model, batch), real) > 1e-2
    assert error_of(real, _simulated(model, "int4", {}, batch, tmp_path, True)) < 1e-4


@pytest.mark.parametrize("name", ["mlp", "residual_cnn", "transformer"])
def test_with_all_gates_open_it_is_about_as_wrong_as_the_graph_in_fp16(name: str, tmp_path: Path) -> None:
    """ONNX Runtime computes most of FP16 in FP32, and does not round in between."""
    model, batch = models.NAMES[name](), _batch(name, tmp_path)
    reference = _outputs(model, batch)
    real = error_of(reference, _outputs(lower(model, "fp16", frozenset()), batch))
    simulated = error_of(reference, _simulated(model, "fp16", {}, batch, tmp_path, True))
    assert real / 2 < simulated < 3 * real


def test_bf16_loses_eight_times_as_much_as_fp16(tmp_path: Path) -> None:
    model, batch = models.NAMES["mlp"](), _batch("mlp", tmp_path)
    reference = _outputs(model, batch)
    fp16, bf16 = (
        error_of(reference, _simulated(model, precision, {}, batch, tmp_path, True))
        for precision in ("fp16", "bf16")
    )
    assert 5 < bf16 / fp16 < 12


def test_nodes_in_subgraphs_are_left_alone(tmp_path: Path) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("MatMul", ["x", "x"], [name], name=name)],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2])],
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("If", ["yes"], ["a"], name="choice", **branches),
        helper.make_node("MatMul", ["a", "x"], ["y"], name="outside"),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy")
    yes = helper.make_tensor_value_info("yes", TensorProto.BOOL, [])
    graph = helper.make_graph(nodes, "branching", [x, yes], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    batch: Tensors = {"x": np.array([[1.001, 2], [3, 4]], np.float32), "yes": np.array(True)}
    assert lowerable(model, "fp16") == ("outside",)
    reference, outputs = _outputs(model, batch), _simulated(model, "fp16", {}, batch, tmp_path, True)
    assert 0 < error_of(reference, outputs) < 1e-3


@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_channel_of_zeros_stays_zero_and_others_keep_their_largest_value(axis: int | None) -> None:
    weight = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    weight[0], weight[:, 1] = 0, 0
    rounded = rounded_weight(weight, "int8", axis)
    assert np.array_equal(rounded == 0, weight == 0)
    np.testing.assert_allclose(
        np.abs(rounded).max(axis=1 - axis if axis is not None else None),
        np.abs(weight).max(axis=1 - axis if axis is not None else None),
        rtol=1e-6,
    )


def test_int4_has_a_scale_for_each_block() -> None:
    weight = np.ones((2, 256), np.float32)
    weight[:, 128:] = 1000.0
    np.testing.assert_allclose(rounded_weight(weight, "int4", 0, 128), weight, rtol=1e-6)
    np.testing.assert_allclose(rounded_weight(weight.T, "int4", 1, 128), weight.T, rtol=1e-6)
