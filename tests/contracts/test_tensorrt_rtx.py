"""TensorRT-RTX without a GPU: its parser and its builder are real; only its engines cannot run.

The suite that every backend passes, and the whole product, run on a GPU: see tests/gpu.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from engines.artifacts.fingerprints import fingerprint
from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend, open_backend
from engines.backends.tensorrt.run.load import ENGINE
from engines.core.errors import EngineError
from engines.core.results import Artifact
from engines.core.values import Profile, Settings, ShapeRange, Value, Workload
from engines.data import calibration
from engines.graphs import recipe
from engines.machine.gpu import has_gpu
from tests.contracts.rtx_builds import EXAMPLES, build
from tests.workloads import example, tiny_conv, workload_of

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

# what the builder cannot do where there is no driver, or no library for older versions
NEEDS_MORE = {"refit=true", "refit_identical=true", "version_compatible=true"}


def test_what_changes_no_byte_of_the_plan_changes_no_fingerprint(
    backend: Backend, workspace: Workspace, mlp: Workload
) -> None:
    engines = [
        build(backend, mlp, workspace, **chosen)
        for chosen in ({}, {"max_aux_streams": 0}, {"simplify": "onnxslim"}, {"precision": "fp16"})
    ]
    plans = [plan(workspace, engine) for engine in engines]
    assert len({engine.digest for engine in engines}) == 4
    assert [plans.index(one) for one in plans] == [0, 0, 0, 3]
    prints = [fingerprint(engine) for engine in engines]
    assert [prints.index(one) for one in prints] == [0, 0, 0, 3]
    assert None not in prints


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_choice_of_every_dimension_builds_an_engine_of_its_own(
    name: str, backend: Backend, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what needs no engine of its own: fewer streams than a network without branches has anyway."""
    # how right the ranges are does not matter here
    monkeypatch.setattr(calibration, "CALIBRATION_SEEDS", 1)
    monkeypatch.setattr(recipe, "RANKING_BATCHES", 1)
    monkeypatch.setattr(recipe, "RANKING_SAMPLES", 1)
    workload = example(name, tmp_path, **EXAMPLES[name])
    dimensions = backend.dimensions(workload, True)
    engines = {"baseline": build(backend, workload, workspace)}
    for one in dimensions:
        where = {name: values[0] for name, values in one.applies_to.items()}
        for choice in one.choices if one.kind != "run" else ():
            if choice != one.default:
                engines[f"{one.name}={choice}"] = build(
                    backend, workload, workspace, **{**where, one.name: choice}
                )
    assert len(engines) > 20
    assert not any(engine.reused for engine in engines.values())
    assert len({engine.digest for engine in engines.values()}) == len(engines)


def test_whatever_can_be_fixed_builds_or_is_refused_with_a_reason(
    backend: Backend, workspace: Workspace, mlp: Workload
) -> None:
    refused = {}
    for one in backend.dimensions(mlp, True):
        for value in one.fixable if one.kind != "run" else ():
            try:
                build(backend, mlp, workspace, **{one.name: value})
            except EngineError as error:
                refused[f"{one.name}={str(value).lower()}"] = error.message
    assert set(refused) <= NEEDS_MORE
    if not has_gpu():
        assert set(refused) == NEEDS_MORE
    assert "libnvinfer_lean.so" in refused["version_compatible=true"]
    for message in refused.values():
        assert not re.search(r"/_src/|cudaError 35|\n|\.$", message), message


def test_an_engine_has_every_profile_of_the_plan(
    backend: Backend, workspace: Workspace, mlp: Workload
) -> None:
    near, far = (Profile({"features": ShapeRange((low, 64), (low, 64), (4 * low, 64))}) for low in (2, 16))
    one, two = (
        build(backend, replace(mlp, plan=replace(mlp.plan, profiles=profiles)), workspace)
        for profiles in ((near,), (near, far))
    )
    assert one.digest != two.digest
    assert fingerprint(one) != fingerprint(two)


def test_layers_in_16_bits_make_the_engine_smaller(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    workload = example("residual_cnn", tmp_path, **EXAMPLES["residual_cnn"])
    full, half = (build(backend, workload, workspace, precision=precision) for precision in ("fp32", "fp16"))
    assert half.size_bytes < 0.6 * full.size_bytes


def test_the_same_settings_are_built_once_even_for_another_search(
    backend: Backend, workspace: Workspace, mlp: Workload
) -> None:
    first = build(backend, mlp, workspace)
    again = build(backend, mlp, workspace, max_aux_streams=-1)
    another = open_backend("tensorrt-rtx", Settings(log="INFO"), workspace.caches)
    found = build(another, mlp, workspace, cuda_graph=True, streams=4, kernel_specialization="none")
    assert (first.reused, again.reused, found.reused) == (False, True, True)
    assert first.digest == again.digest == found.digest
    other = build(backend, mlp, workspace, max_aux_streams=0)
    assert not other.reused
    assert other.digest != first.digest


@pytest.mark.parametrize(
    "chosen",
    [{"precision": "bf16"}, {"precision": "fp8", "high_precision": "bf16"}],
    ids=["bf16", "fp8 beside bf16"],
)
def test_operators_that_the_vendor_takes_in_fp32_only_stay_so(
    chosen: dict[str, Value], backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    path = tiny_conv(tmp_path)
    model = onnx.load(path)
    nodes = model.graph.node
    nodes[1].op_type = "HardSwish"
    nodes[2].input[0] = "widened"
    nodes.insert(2, helper.make_node("ConvTranspose", ["r", "back"], ["widened"], name="widen"))
    weight = np.random.default_rng(3).normal(size=(8, 8, 2, 2)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "back"))
    onnx.save(model, path)
    workload = workload_of(path, x=(2, 3, 12, 12))
    assert not build(backend, workload, workspace, **chosen).reused


def test_sparse_kernels_are_searched_only_where_weights_are_sparse(
    backend: Backend, mlp: Workload, tmp_path: Path
) -> None:
    model = onnx.load(mlp.model.file.where)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.ndim == 2:
            values[::2] = 0.0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    pruned = tmp_path / "pruned.onnx"
    onnx.save(model, pruned)
    sparse = workload_of(pruned, features=(1, 64))
    found = {
        name: next(one for one in backend.dimensions(workload, False) if one.name == "sparse_weights").choices
        for name, workload in {"dense": mlp, "sparse": sparse}.items()
    }
    assert found == {"dense": (False,), "sparse": (False, True)}


def plan(workspace: Workspace, engine: Artifact) -> bytes:
    return (workspace.engines / engine.digest / ENGINE).read_bytes()
