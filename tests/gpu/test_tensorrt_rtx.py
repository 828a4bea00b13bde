"""The backend contract and the whole product on a real GPU: `pytest -m gpu`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend, Runner
from engines.core.errors import EngineError
from engines.core.values import Workload
from engines.data.inputs import make_inputs
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from examples import models
from studies.core.space import baseline_of, candidate_at
from tests.contracts.backend import BackendContract
from tests.workloads import QUICK

pytestmark = pytest.mark.gpu


class TestTensorRtxOnAGpu(BackendContract):
    name = "tensorrt-rtx"
    # TF32 products, the vendor's default
    tolerance = 2e-3


def _runner(session: Session, **run: object) -> Runner:
    dimensions = session.backend.dimensions(session.workload, True)
    defaults = {dimension.name: dimension.default for dimension in dimensions}
    candidate = candidate_at(dimensions, {**defaults, **run})  # type: ignore[dict-item]
    evaluation = evaluate(session, candidate, lambda *_: None)
    assert evaluation.engine is not None
    folder = session.workspace.engines / evaluation.engine.digest
    inputs = make_inputs(session.workload, session.workload.plan.batch)[0]
    return session.backend.open(folder, session.workload, candidate.run, inputs, QUICK)


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_new_inputs_reach_the_engine_in_either_launch_mode(
    backend: Backend, workload: Workload, workspace: Workspace, *, cuda_graph: bool
) -> None:
    session = Session(backend, workload, workspace, QUICK)
    runner = _runner(session, cuda_graph=cuda_graph)
    batches = make_inputs(workload, workload.plan.batch)
    try:
        outputs = [runner.infer(batch)["logits"] for batch in (*batches, batches[0])]
    finally:
        runner.close()
    assert not np.allclose(outputs[0], outputs[1])
    assert np.array_equal(outputs[0], outputs[-1])


def test_streams_run_at_the_same_time(backend: Backend, workload: Workload, workspace: Workspace) -> None:
    session = Session(backend, workload, workspace, QUICK)
    rates = []
    for streams in (1, 4):
        runner = _runner(session, cuda_graph=True, streams=streams)
        try:
            runner.block(0.1)
            block = runner.block(0.3)
        finally:
            runner.close()
        rates.append(len(block.latency_ms) / block.span_seconds)
    assert rates[1] > 1.2 * rates[0]


def test_a_cuda_graph_is_launched_in_less_host_time(
    backend: Backend, workload: Workload, workspace: Workspace
) -> None:
    session = Session(backend, workload, workspace, QUICK)
    enqueue = []
    for cuda_graph in (False, True):
        runner = _runner(session, cuda_graph=cuda_graph)
        try:
            enqueue.append(runner.block(0.1).telemetry["enqueue_ms"])
        finally:
            runner.close()
    assert enqueue[1] < enqueue[0] / 2


class _Reluctant:
    """A context that runs, and refuses once it is told to."""

    def __init__(self, context: Any) -> None:
        self._context, self.refuses = context, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def execute_async_v3(self, stream: int) -> bool:
        return not self.refuses and bool(self._context.execute_async_v3(stream))


def test_a_context_that_refuses_to_be_captured_says_so_and_still_runs(
    backend: Backend, workload: Workload, workspace: Workspace
) -> None:
    session = Session(backend, workload, workspace, QUICK)
    runner = _runner(session)
    lane = runner._lanes[0]  # type: ignore[attr-defined]
    batch = make_inputs(workload, workload.plan.batch)[0]
    before = runner.infer(batch)["logits"]
    lane._context = reluctant = _Reluctant(lane._context)
    enqueue = lane._enqueue

    def enqueue_once(stream: Any) -> None:
        enqueue(stream)
        reluctant.refuses = True

    lane._enqueue = enqueue_once
    try:
        with pytest.raises(EngineError, match="refused to be captured"):
            lane.capture()
        reluctant.refuses, lane._enqueue = False, enqueue
        assert not lane.is_captured
        assert np.array_equal(runner.infer(batch)["logits"], before)
        assert runner.block(0.0).telemetry["cuda_graph"] == 0.0
    finally:
        runner.close()


def test_device_memory_is_given_back(backend: Backend, workload: Workload, workspace: Workspace) -> None:
    from engines.backends.tensorrt.run.runner import free_bytes

    session = Session(backend, workload, workspace, QUICK)
    _runner(session, streams=4).close()
    before = free_bytes()
    for _ in range(5):
        _runner(session, streams=4).close()
    assert before - free_bytes() < 32 << 20


def test_an_engine_says_what_types_it_computes_in(
    backend: Backend, workload: Workload, workspace: Workspace
) -> None:
    session = Session(backend, workload, workspace, QUICK)
    dimensions = backend.dimensions(workload, False)
    settings = baseline_of(dimensions).settings
    found = {}
    for precision in ("tf32", "fp16"):
        candidate = candidate_at(dimensions, {**settings, "precision": precision})
        engine = evaluate(session, candidate, lambda *_: None).engine
        assert engine is not None
        found[precision] = engine.facts
    assert found["fp16"]["precision_as_asked"] is True, found
    assert "fp16" in str(found["fp16"]["layer_types"]), found
    assert "fp16" not in str(found["tf32"]["layer_types"]), found


def test_the_machine_is_the_gpu(backend: Backend) -> None:
    machine = backend.machine()
    assert machine.kind == "gpu"
    assert machine.driver
    assert machine.memory_bytes > 1 << 30
    assert {"tensorrt_rtx", "cuda"} <= set(machine.libraries)
    assert {"compute_capability", "power_limit_w", "max_sm_clock_mhz"} <= set(machine.limits)


def test_the_whole_search_beats_the_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuner.cli import main

    model = models.save("residual_cnn", tmp_path)
    arguments = ["search", str(model), "--backend", "tensorrt-rtx", "--trials", "12", "--json", "-q"]
    arguments += ["--shapes", "images:8x3x64x64", "--workspace", str(tmp_path / "w")]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "faster"
    assert document["machine"]["kind"] == "gpu"
    assert (Path(document["exported"]) / "engine.plan").is_file()
