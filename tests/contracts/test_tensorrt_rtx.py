"""TensorRT-RTX without a GPU: its parser and its builder are real; only its engines cannot run.

The suite that every backend passes, and the whole product, run on a GPU: see tests/gpu.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.artifacts import make_engine, make_graph
from engines.backends import Backend, open_backend
from engines.backends.tensorrt.loading import ENGINE
from engines.backends.tensorrt.network import MOST_NODES
from engines.errors import EngineError
from engines.gpu import has_gpu
from engines.isolation import Worker
from engines.protocol import Open
from engines.sharing import fingerprint
from engines.values import Artifact, Dimension, Settings, Shape, ShapeRange, Value, Workload
from engines.workspace import Workspace
from studies.space import candidate_at
from tests.command import Ended
from tests.contracts.rtx_without_gpu import worker_knows
from tests.workloads import QUICK, example, tiny_conv, workload_of
from tuner.cli import main

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
without_gpu = pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")

EXAMPLES: Mapping[str, dict[str, Shape]] = {
    "residual_cnn": {"images": (2, 3, 64, 64)},
    "transformer": {"input_ids": (2, 32), "attention_mask": (2, 32)},
    "mixed_types": {"features": (2, 16), "categories": (2, 4), "gate": (2, 16)},
    "mlp": {"features": (2, 64)},
}
# what the builder cannot do where there is no driver, or no library for older versions
NEEDS_MORE = {"refit=true", "refit_identical=true", "version_compatible=true"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def backend(workspace: Workspace) -> Backend:
    return open_backend("tensorrt-rtx", Settings(), workspace.caches)


@pytest.fixture
def mlp(tmp_path: Path) -> Workload:
    return example("mlp", tmp_path, **EXAMPLES["mlp"])


def build(backend: Backend, workload: Workload, workspace: Workspace, **chosen: Value) -> Artifact:
    """The engine of the baseline but for what is chosen."""
    dimensions = backend.dimensions(workload, True)
    candidate = candidate_at(dimensions, {**defaults(dimensions), **chosen})
    graph = make_graph(backend, workload, candidate.graph, workspace)
    return make_engine(backend, workload, candidate, workspace, graph)[0]


def defaults(dimensions: tuple[Dimension, ...]) -> dict[str, Value]:
    return {dimension.name: dimension.default for dimension in dimensions}


def plan(workspace: Workspace, engine: Artifact) -> bytes:
    return (workspace.engines / engine.digest / ENGINE).read_bytes()


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
    name: str, backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    """But for what needs no engine of its own: fewer streams than a network without branches has anyway."""
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


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("workspace_mib", -1, "the builder does not take workspace_mib=-1"),
        ("workspace_mib", 10**30, f"the builder does not take workspace_mib={10**30}"),
        ("max_aux_streams", -5, "the builder does not take max_aux_streams=-5"),
        ("max_aux_streams", 10**12, f"the builder does not take max_aux_streams={10**12}"),
    ],
)
def test_a_number_that_the_builder_does_not_take_is_refused(
    backend: Backend, workspace: Workspace, mlp: Workload, name: str, value: int, message: str
) -> None:
    with pytest.raises(EngineError) as caught:
        build(backend, mlp, workspace, **{name: value})
    assert caught.value.message == message


def test_too_small_a_workspace_is_refused_with_the_librarys_reason(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    workload = example("residual_cnn", tmp_path, **EXAMPLES["residual_cnn"])
    with pytest.raises(EngineError, match="no tactics to implement the operation within workspace limit"):
        build(backend, workload, workspace, workspace_mib=1)
    assert list(workspace.engines.iterdir()) == []


def test_a_profile_in_disorder_is_refused(backend: Backend, workspace: Workspace, mlp: Workload) -> None:
    broken = replace(mlp, shapes={"features": ShapeRange((4, 64), (2, 64), (8, 64))})
    message = "the builder refused the optimization profile: .*features.* MIN<=OPT<=MAX"
    with pytest.raises(EngineError, match=message) as caught:
        build(backend, broken, workspace, profile="given")
    assert "\n" not in caught.value.message


def test_every_unsupported_node_is_named_with_its_operator(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="det_1"),
        helper.make_node("Frobnicate", ["a"], ["b"], name="frob_2", domain="com.acme"),
        helper.make_node("Relu", ["b"], ["c"], name="fine"),
        helper.make_node("Twist", ["c"], ["y"], domain="com.acme"),
    ]
    with pytest.raises(EngineError) as caught:
        build(backend, _model(tmp_path, nodes), workspace)
    reason = "(Op type {} is not supported in TensorRT-RTX)".format
    assert caught.value.message == (
        "the parser refused Det 'det_1' (not supported); "
        f"Frobnicate 'frob_2' {reason('Frobnicate')}; Twist (node 3) {reason('Twist')}"
    )


def test_a_long_list_of_unsupported_nodes_is_counted(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    names = ["x", *(f"v{place}" for place in range(MOST_NODES + 2)), "y"]
    nodes = [helper.make_node("Det", [one], [other], name=f"det_{one}") for one, other in pairwise(names)]
    with pytest.raises(EngineError, match=r"; and 3 more$") as caught:
        build(backend, _model(tmp_path, nodes), workspace)
    assert caught.value.message.count("'det_") == MOST_NODES


def test_the_log_holds_what_the_level_asked_for_lets_through(
    mlp: Workload, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {}
    for level in ("INFO", "VERBOSE"):
        backend = open_backend("tensorrt-rtx", Settings(log=level), workspace.caches)
        _build_alone(backend, mlp, workspace)
        lines[level] = capsys.readouterr().err.splitlines()
    letters = {level: {line[:4] for line in printed} for level, printed in lines.items()}
    assert "[I] " in letters["INFO"]
    assert "[V] " not in letters["INFO"]
    assert "[V] " in letters["VERBOSE"]
    assert len(lines["VERBOSE"]) > 10 * len(lines["INFO"])


def test_asking_for_the_space_leaves_nothing_in_the_log(
    backend: Backend, mlp: Workload, capsys: pytest.CaptureFixture[str]
) -> None:
    backend.dimensions(mlp, True)
    logged = capsys.readouterr().err.splitlines()
    # a process keeps its first logger, and another backend of this one may have brought it
    assert [line for line in logged if "logger passed into" not in line] == []


def test_the_builder_tells_how_far_it_is(backend: Backend, workspace: Workspace, mlp: Workload) -> None:
    details = _build_alone(backend, mlp, workspace)
    assert details
    assert all(re.fullmatch(r".+ \d+/\d+", detail) for detail in details), details


def test_a_plan_that_is_none_is_refused(backend: Backend, mlp: Workload, tmp_path: Path) -> None:
    (tmp_path / ENGINE).write_bytes(b"no plan" * 1000)
    with pytest.raises(EngineError, match="deserializeCudaEngine"):
        backend.open(tmp_path, mlp, Settings(), {"features": np.zeros((2, 64), np.float32)}, QUICK)


@pytest.fixture
def opening(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Open:
    worker_knows(tmp_path, monkeypatch)
    workload = workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))
    options = Settings(log="INFO")
    return Open("rtx-without-gpu", options, str(workspace.root), workload, QUICK, concurrent=False)


@without_gpu
def test_what_the_vendor_says_in_a_worker_is_the_trials_log(opening: Open, workspace: Workspace) -> None:
    with Worker(opening, workspace) as worker:
        dimensions = worker.open().dimensions
        position = worker.log_position()
        evaluation = worker.evaluate(candidate_at(dimensions, defaults(dimensions)), 60.0)
        log = worker.log_since(position)
    assert evaluation.engine is not None
    assert evaluation.engine.size_bytes > 0
    assert evaluation.failure is not None
    assert (evaluation.failure.stage, evaluation.failure.kind) == ("load", "refused")
    assert "driver" in evaluation.failure.message
    assert "[I] " in log
    assert "[V] " not in log


@without_gpu
def test_a_build_that_takes_too_long_is_killed(opening: Open, workspace: Workspace) -> None:
    stuck = Open(**{**_fields(opening), "options": Settings(stuck=True)})
    with Worker(stuck, workspace) as worker:
        dimensions = worker.open().dimensions
        worker.prepare(2)
        candidate = candidate_at(dimensions, defaults(dimensions))
        failure = worker.evaluate(candidate, 1.0).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("build", "timeout")
    assert list(workspace.engines.glob("[!.]*")) == []


@without_gpu
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["search", "dry run"])
def test_without_a_gpu_the_command_says_so_in_one_line(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = _command(tmp_path, capsys, monkeypatch, "--backend", "tensorrt-rtx", *more)
    assert ended.complaint.startswith("no NVIDIA GPU can be used: ")
    assert "--backend onnxruntime" in ended.complaint


@without_gpu
def test_auto_says_which_backend_it_takes_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = _command(tmp_path, capsys, monkeypatch, "--backend", "auto", "--dry-run")
    assert ended.code == 0
    (note,) = [line for line in ended.err.splitlines() if "backend" in line]
    assert note.startswith("note: the backend is onnxruntime, ")
    assert "tensorrt is not installed" in note
    assert "tensorrt-rtx needs an NVIDIA GPU" in note


def _model(folder: Path, nodes: list[onnx.NodeProto]) -> Workload:
    """A model of nodes from `x` to `y` that ONNX's own checker would not take."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4, 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opsets, ir_version=8)
    path = folder / "unsupported.onnx"
    onnx.save(model, path)
    return workload_of(path, x=(2, 4, 4))


def _build_alone(backend: Backend, workload: Workload, workspace: Workspace) -> list[str]:
    """The details that a build of the baseline tells, in a folder of its own."""
    candidate = candidate_at(dimensions := backend.dimensions(workload, False), defaults(dimensions))
    folder = workspace.root / "alone"
    folder.mkdir(exist_ok=True)
    details: list[str] = []
    backend.build(Path(workload.model.path), workload, candidate, folder, details.append)
    return details


def _fields(opening: Open) -> dict[str, Any]:
    return {name: getattr(opening, name) for name in opening.__struct_fields__}


def _command(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
) -> Ended:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        main(["search", str(tiny_conv(folder)), "--shapes", "x:1x3x12x12", *arguments])
    printed = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return Ended(ended.value.code, printed.out, printed.err)


def test_sparse_kernels_are_searched_only_where_weights_are_sparse(
    backend: Backend, mlp: Workload, tmp_path: Path
) -> None:
    model = onnx.load(mlp.model.path)
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
