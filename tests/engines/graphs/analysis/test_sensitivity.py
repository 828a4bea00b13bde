import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from engines.core.errors import EngineError
from engines.core.results import NodeError
from engines.core.values import Tensors
from engines.data.inputs import make_inputs
from engines.graphs.analysis.sensitivity import cached_rank, error_of, rank
from engines.graphs.passes.half_precision import lower
from engines.graphs.passes.selection import lowerable
from engines.models import onnx_files
from examples import models
from tests.workloads import example

FOUND = (NodeError("a", "Gemm", math.inf), NodeError("b[0]", "Conv", 0.25), NodeError("c", "Relu", 0.0))


def _silent(text: str) -> None: ...


def _batches(name: str, folder: Path) -> list[Tensors]:
    return make_inputs(example(name, folder), 4)[:2]


def test_the_layer_that_fp16_cannot_hold_is_first(tmp_path: Path) -> None:
    found = rank(models.overflow(), "fp16", _batches("overflow", tmp_path), {}, _silent)
    assert [(one.operator, one.error) for one in found[:2]] == [("MatMul", math.inf)] * 2
    assert found[0].node == "MatMul_11"
    assert all(one.error < 1e-3 for one in found[2:])


@pytest.mark.parametrize(("kept", "most"), [(0, math.inf), (2, 1e-3)])
def test_in_fp16_it_works_once_the_nodes_that_are_ranked_first_are_kept(
    kept: int, most: float, tmp_path: Path
) -> None:
    model, batches = models.overflow(), _batches("overflow", tmp_path)
    ranked = rank(model, "fp16", batches, {}, _silent)
    lowered = lower(model, "fp16", frozenset(one.node for one in ranked[:kept]))
    reference, outputs = (
        {"logits": ort.InferenceSession(one.SerializeToString()).run(None, batches[0])[0]}
        for one in (model, lowered)
    )
    assert error_of(reference, outputs) <= most
    assert math.isfinite(error_of(reference, outputs)) == bool(kept)


def test_in_bf16_the_same_layer_is_one_of_many(tmp_path: Path) -> None:
    found = rank(models.overflow(), "bf16", _batches("overflow", tmp_path), {}, _silent)
    assert found[0].error < 0.01


@pytest.mark.parametrize("precision", ["fp16", "int4"])
def test_every_node_is_ranked_once_the_most_hurtful_first(precision: str, tmp_path: Path) -> None:
    model = models.mlp()
    found = rank(model, precision, _batches("mlp", tmp_path), {}, _silent)
    errors = [one.error for one in found]
    assert errors == sorted(errors, reverse=True)
    assert sorted(one.node for one in found) == sorted(lowerable(model, precision))
    assert errors[-1] > 0


def test_the_worst_batch_counts(tmp_path: Path) -> None:
    model, batches = models.mlp(), _batches("mlp", tmp_path)
    alone = [{one.node: one.error for one in rank(model, "fp16", [batch], {}, _silent)} for batch in batches]
    together = {one.node: one.error for one in rank(model, "fp16", batches, {}, _silent)}
    assert together == {node: max(errors[node] for errors in alone) for node in together}


def test_a_weight_with_one_value_beyond_all_others_hurts_most_in_int8(tmp_path: Path) -> None:
    """Its channel has a scale in which the other values vanish."""
    model = models.mlp()
    weight = model.graph.initializer[2]
    values = numpy_helper.to_array(weight).copy()
    values[0] = 50 * np.abs(values).max()
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    batches = _batches("mlp", tmp_path)
    reader = next(node.name for node in model.graph.node if weight.name in node.input)
    found = rank(model, "int8", batches, {}, _silent)
    assert found[0].node == reader
    assert found[0].error > 5 * found[1].error


def test_progress_says_which_node_of_how_many(tmp_path: Path) -> None:
    said: list[str] = []
    rank(models.mlp(), "int4", _batches("mlp", tmp_path), {}, said.append)
    assert said[0] == "loading the model"
    assert said[1:] == [f"lowering node {number} of 3 by itself" for number in (1, 2, 3)]


def test_a_model_with_nothing_to_lower_has_no_ranking() -> None:
    model = models.mixed_types()
    del model.graph.node[:]
    assert rank(model, "fp16", [], {}, _silent) == ()


def test_a_model_that_cannot_be_run_is_an_engine_error(tmp_path: Path) -> None:
    model = models.mlp()
    with pytest.raises(EngineError):
        rank(model, "fp16", [{"features": np.zeros((1, 3), np.float32)}], {}, _silent)


def _never() -> tuple[NodeError, ...]:
    raise AssertionError("it is kept")


def test_a_ranking_is_made_once_and_infinity_is_kept(tmp_path: Path) -> None:
    assert cached_rank(tmp_path, "key", lambda: FOUND) == FOUND
    assert cached_rank(tmp_path, "key", _never) == FOUND
    assert cached_rank(tmp_path, "other", lambda: FOUND[:1]) == FOUND[:1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"\xff\xfe",
        lambda text: b"7",
        lambda text: json.dumps([["a", "Gemm"]]).encode(),
        lambda text: json.dumps([["a", "Gemm", "much"]]).encode(),
    ],
)
def test_a_spoiled_file_is_made_again(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    cached_rank(tmp_path, "key", lambda: FOUND)
    (file,) = tmp_path.iterdir()
    file.write_bytes(spoil(file.read_bytes()))
    again = (replace(FOUND[0], node="made again"),)
    assert cached_rank(tmp_path, "key", lambda: again) == again
    assert cached_rank(tmp_path, "key", _never) == again


def test_weights_that_lie_outside_the_file_are_ranked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = _batches("mlp", tmp_path)
    inside = rank(models.mlp(), "fp16", batches, {}, _silent)
    monkeypatch.setattr(onnx_files, "EXTERNAL_WEIGHTS_BYTES", 0)
    assert rank(models.mlp(), "fp16", batches, {}, _silent) == inside


def test_the_model_is_not_changed(tmp_path: Path) -> None:
    model = models.mlp()
    before = model.SerializeToString(deterministic=True)
    rank(model, "int8", _batches("mlp", tmp_path), {}, _silent)
    assert isinstance(model, onnx.ModelProto)
    assert model.SerializeToString(deterministic=True) == before
