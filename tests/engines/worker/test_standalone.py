"""One engine timed by itself: models on the real ONNX Runtime, and a runner that remembers for the rest."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Block
from engines.core.values import Policy, Settings, Shape, ShapeRange, Tensors
from engines.data import tensor_files
from engines.machine.telemetry import NoProbe
from engines.shapes.text import UNNAMED
from engines.trials.sampling import Meter
from engines.worker import standalone
from engines.worker.client import Worker
from engines.worker.protocol import DescribeEngine, EngineMeasured, EngineRan, MeasureEngine, RunEngine
from engines.worker.standalone import Engine, describe_engine, measure_engine, run_engine
from tests import troublesome
from tests.workloads import QUICK, tiny_conv, workload_of

# one block as long as all sampling
AT_ONCE = replace(QUICK, maximum_seconds=0.02, block_seconds=0.02, minimum_inferences=10)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_conv(tmp_path)


def request(file: Path, **changes: Any) -> MeasureEngine:
    """To time a model on ONNX Runtime, quickly."""
    plain = {"backend": "onnxruntime", "options": Settings(), "run": Settings(streams=1), "policy": QUICK}
    return MeasureEngine(**{**plain, "caches": str(file.parent), "engine": str(file), **changes})


def measured(file: Path, **changes: Any) -> EngineMeasured:
    return measure_engine(request(file, **changes), lambda *_: None)


def ort_file(model: Path) -> Path:
    """The model in ONNX Runtime's own format."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(model.with_suffix(".ort"))
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return model.with_suffix(".ort")


def test_a_model_is_timed_and_its_machine_named(model: Path) -> None:
    found = measured(model)
    assert len(found.measurement.blocks) >= 5
    assert all((block.latency_ms > 0).all() for block in found.measurement.blocks)
    assert found.machine.kind == "cpu"
    assert found.measurement.warmup_runs > 0


def test_missing_dimensions_are_one_with_a_note(model: Path) -> None:
    found = measured(model)
    assert found.shapes == {"x": (1, 3, 12, 12)}
    assert any("dimension 'batch'" in note for note in found.notes)


@pytest.mark.parametrize("name", ["x", UNNAMED])
def test_the_shapes_asked_for_are_measured(model: Path, name: str) -> None:
    found = measured(model, shapes={name: (4, 3, 12, 12)})
    assert found.shapes == {"x": (4, 3, 12, 12)}
    assert found.measurement.batch == 4
    assert found.notes == ()


def test_a_file_in_onnx_runtimes_own_format_is_timed(model: Path) -> None:
    assert measured(ort_file(model), shapes={"x": (2, 3, 12, 12)}).measurement.batch == 2


def test_several_streams_run_at_once(model: Path) -> None:
    assert measured(model, run=Settings(streams=2)).measurement.streams == 2


def test_inputs_come_from_the_users_file(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.ones((2, 3, 12, 12), np.float32))
    found = measured(model, shapes={"x": (2, 3, 12, 12)}, inputs=str(tmp_path / "in.npz"))
    assert found.measurement.batch == 2


def test_an_inputs_file_that_does_not_fit_is_the_users_mistake(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", z=np.ones(3))
    with pytest.raises(UserError, match="'z'"):
        measured(model, inputs=str(tmp_path / "in.npz"))


def test_cold_blocks_are_timed_where_they_are_asked_for(model: Path) -> None:
    assert measured(model, policy=replace(QUICK, cold=True)).measurement.cold
    assert not measured(model).measurement.cold


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100])
@pytest.mark.parametrize("suffix", [".onnx", ".ort"])
def test_file_that_is_not_a_model_is_a_user_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"bad{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError, match="onnxruntime cannot run"):
        measured(file)


def test_input_that_is_not_a_tensor_is_a_user_error(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    length = helper.make_tensor_value_info("n", TensorProto.INT64, [])
    nodes = [helper.make_node("SequenceLength", ["s"], ["n"])]
    graph = helper.make_graph(nodes, "sequences", [sequence], [length])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "s.onnx")
    with pytest.raises(UserError, match=r"'s' of the model is a seq\(tensor\(float\)\), not a tensor"):
        measured(tmp_path / "s.onnx")


def test_a_backend_that_has_no_plans_runs_none(model: Path) -> None:
    with pytest.raises(UserError, match="fake cannot run"):
        measured(model, backend="fake")


# shapes of an engine that prefers some and is limited to some


def test_an_engine_is_run_at_the_shapes_that_it_prefers(model: Path) -> None:
    assert shapes_of(model, {}) == (8, 3, 12, 12)
    assert shapes_of(model, {"x": (2, 3, 12, 12)}) == (2, 3, 12, 12)


def test_a_shape_beyond_the_engines_profile_is_refused(model: Path) -> None:
    with pytest.raises(UserError, match="takes 'x' from 2x3x12x12 to 16x3x12x12, not 17x3x12x12"):
        shapes_of(model, {"x": (17, 3, 12, 12)})


def shapes_of(model: Path, asked: dict[str, Shape]) -> Shape:
    facts = workload_of(model).model
    limits = {"x": ShapeRange((2, 3, 12, 12), (8, 3, 12, 12), (16, 3, 12, 12))}
    engine = Engine(facts, {"x": (8, 3, 12, 12)}, limits, lambda *_: Remembering())
    workload, notes = standalone._workload(engine, request(model, shapes=asked))
    assert notes == ()
    return workload.plan.ranges["x"].optimum


# timing in one go, as trtexec does


@dataclass
class Remembering:
    """A runner of two streams whose blocks have as many inferences as there are hundredths of a second."""

    streams: int = 2
    device_memory_bytes: int | None = None
    asked: list[float] = field(default_factory=list)

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        raise NotImplementedError

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        self.asked.append(seconds)
        return Block(np.ones(max(1, round(100 * seconds))), seconds, 0.0)

    def close(self) -> None:
        """Nothing is held."""


def timed(policy: Policy) -> tuple[Remembering, int]:
    runner = Remembering()
    measurement = standalone._measure(Meter(runner, policy, 1, NoProbe()), lambda *_: None)
    return runner, sum(len(block.latency_ms) for block in measurement.blocks)


def test_a_policy_of_one_block_is_timed_in_one_go_behind_its_warm_up() -> None:
    runner, inferences = timed(replace(AT_ONCE, warmup_seconds=0.2, block_seconds=3.0, maximum_seconds=3.0))
    assert runner.asked == [0.2, 3.0]
    assert inferences == 300


def test_without_a_warm_up_there_is_none() -> None:
    runner, _ = timed(replace(AT_ONCE, warmup_seconds=0.0, block_seconds=3.0, maximum_seconds=3.0))
    assert runner.asked == [3.0]


def test_a_slow_engine_goes_on_until_it_ran_often_enough() -> None:
    runner, inferences = timed(AT_ONCE)
    assert inferences == 10
    assert runner.asked[1:] == [0.02, *[0.0] * 8]


def test_stages_are_reported_as_they_begin(model: Path) -> None:
    told: list[str] = []
    measure_engine(request(model), lambda stage, _: told.append(stage))
    assert told == ["load", "warm-up", "measure"]


# in a worker


def test_a_worker_measures_an_engine(model: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    with Worker(None, Workspace(tmp_path / "w").create()) as worker:
        found = worker.measure_engine(request(model), 60.0, lambda stage, _: stages.append(stage))
    assert found.measurement.batch == 1
    assert "measure" in stages


def test_an_engine_that_takes_its_worker_down_is_one_line(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    troublesome.worker_knows(tmp_path, monkeypatch)
    dying = request(model, backend="troublesome", options=Settings(start="dies"))
    workspace = Workspace(tmp_path / "w").create()
    with (
        Worker(None, workspace) as worker,
        pytest.raises(UserError, match=r"took its process down: .* exit code 3 \(no licence found\)"),
    ):
        worker.measure_engine(dying, 60.0)


def test_an_engine_that_never_answers_is_given_up(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "w").create()
    with (
        Worker(None, workspace) as worker,
        pytest.raises(UserError, match=r"took its process down: still not done after 0\.01 s"),
    ):
        worker.measure_engine(request(model, policy=replace(QUICK, warmup_seconds=5.0)), 0.01)


# one engine run once


def about(file: Path) -> dict[str, Any]:
    plain = {"backend": "onnxruntime", "options": Settings(), "run": Settings(streams=1)}
    return {**plain, "caches": str(file.parent), "engine": str(file)}


def run_request(file: Path, *batches: Tensors) -> RunEngine:
    tensor_files.save(file.parent / "in.npz", batches)
    return RunEngine(**about(file), inputs=str(file.parent / "in.npz"), outputs=str(file.parent / "out.npz"))


def test_facts_list_inputs_and_outputs(model: Path) -> None:
    found = describe_engine(DescribeEngine(**about(model)))
    assert [(facts.name, facts.shape) for facts in found.model.inputs] == [("x", ("batch", 3, 12, 12))]
    assert [facts.name for facts in found.model.outputs] == ["y"]
    assert (found.preferred, found.limits) == ({}, {})


def test_each_batch_of_inputs_is_run_once(model: Path) -> None:
    random = np.random.default_rng(0)
    batches: list[Tensors] = [{"x": random.normal(size=(2, 3, 12, 12)).astype(np.float32)} for _ in range(3)]
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    assert run_engine(run_request(model, *batches), lambda *_: None) == EngineRan()
    found = tensor_files.load(model.parent / "out.npz")
    for outputs, batch in zip(found, batches, strict=True):
        assert outputs["y"] == pytest.approx(session.run(None, batch)[0], rel=1e-5)


def test_an_engine_is_described_and_run_in_a_worker(model: Path, tmp_path: Path) -> None:
    batch: Tensors = {"x": np.zeros((1, 3, 12, 12), np.float32)}
    with Worker(None, Workspace(tmp_path / "w").create()) as worker:
        worker.answer(DescribeEngine(**about(model)), "loading it", 60)
        worker.answer(run_request(model, batch), "running it", 60)
    assert tensor_files.load(model.parent / "out.npz")[0]["y"].shape == (1, 5)


def test_engine_that_cannot_load_or_run_is_a_user_error(model: Path) -> None:
    with pytest.raises(UserError, match="onnxruntime cannot run"):
        run_engine(run_request(model, {"x": np.zeros((1, 3, 12, 12), np.float16)}), lambda *_: None)
    model.write_text("hello")
    with pytest.raises(UserError, match="onnxruntime cannot run"):
        describe_engine(DescribeEngine(**about(model)))
