"""`tuner measure`: one engine by itself, for people, for programs and like trtexec."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from engines.backends import BackendEntry
from engines.errors import UserError
from engines.gpu import has_gpu
from engines.protocol import EngineMeasured
from engines.values import Block, Machine, Measurement, Policy, Settings
from tests.command import Command
from tests.engines.test_trtexec import four
from tests.tuner.test_documents import NAMED, PAGE, _described, _fields
from tests.workloads import tiny_conv
from tuner.engine_files import EngineFile, find_engine
from tuner.measured import document, notes, print_like_trtexec, print_measured
from tuner.one_engine import Measured, MeasureOptions, plan

SHORT = ("--warm-up", "5ms", "--duration", "20ms")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, only to be read, with an engine of the fake that was built for a batch of 2."""
    return export(tmp_path_factory.mktemp("exported"), "fake")


def export(folder: Path, backend: str, **options: Any) -> Path:
    result = tuner.search(
        tiny_conv(folder),
        trials=1,
        shapes=("x:2x3x12x12",),
        backend=backend,
        workspace=folder / "w",
        **{"self_test": 0, "finalists": 0, **options},
    )
    return result.export(folder / "best")


def document_of(command: Command, *arguments: object) -> Any:
    return command("measure", *arguments, *SHORT, "--json").document


# what can be measured


def test_an_export_runs_on_its_backend_at_its_shapes_with_its_settings(
    command: Command, exported: Path
) -> None:
    found = document_of(command, exported)
    assert found["about"] == "trial 0 of tiny"
    assert found["backend"]["name"] == "fake"
    assert found["shapes"] == {"x": [2, 3, 12, 12]}
    assert found["settings"]["precision"] == "fp32"
    assert found["settings"]["batch"] == found["measurement"]["batch"] == 2


def test_the_engine_inside_an_export_is_the_export(command: Command, exported: Path) -> None:
    assert document_of(command, exported / "engine.json")["about"] == "trial 0 of tiny"


def test_an_export_of_onnx_runtime_is_measured(command: Command, tmp_path: Path) -> None:
    found = document_of(command, export(tmp_path, "onnxruntime"), "--streams", 2)
    assert found["settings"]["graph_optimization_level"] == "all"
    assert found["measurement"]["streams"] == 2


def test_a_model_is_measured_by_onnx_runtime(command: Command, model: Path) -> None:
    found = document_of(command, model, "--shapes", "x:4x3x12x12")
    assert (found["backend"]["name"], found["shapes"]) == ("onnxruntime", {"x": [4, 3, 12, 12]})
    assert found["metrics"]["latency_ms"]["value"] > 0
    assert found["metrics"]["latency_ms"]["low"] is not None


def test_shapes_asked_for_go_before_those_of_the_export(command: Command, exported: Path) -> None:
    found = document_of(command, exported, "--shapes", "x:3x3x12x12")
    assert found["shapes"] == {"x": [3, 3, 12, 12]}
    assert found["settings"]["batch"] == 3


def test_inputs_may_be_the_users(command: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.ones((1, 3, 12, 12), np.float32))
    assert document_of(command, model, "--inputs", tmp_path / "in.npz")["measurement"]["samples"] > 0


def test_nothing_is_kept(command: Command, model: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    document_of(command, model)
    assert set(tmp_path.rglob("*")) == before


# what is printed


def test_the_table_has_every_metric_with_its_interval(command: Command, exported: Path) -> None:
    shown = command("measure", exported)
    lines = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert {"engine", "machine", "shapes", "latency_ms", "p99_ms", "throughput", "variation"} <= lines.keys()
    assert "±" in lines["latency_ms"]
    assert "blocks, converged" in lines["measured in"]
    assert lines["temperature"].endswith("°C")


def test_progress_is_on_standard_error_and_can_be_turned_off(command: Command, exported: Path) -> None:
    assert "measuring" in command("measure", exported, *SHORT).err
    assert command("measure", exported, *SHORT, "--quiet").err == ""


@pytest.mark.parametrize("major", ["10", "11"])
def test_like_trtexec_prints_its_summary(command: Command, exported: Path, major: str) -> None:
    shown = command("measure", exported, *SHORT, "--like-trtexec", major)
    assert shown.code == 0
    said = [line.partition(" = ")[0] for line in shown.out.splitlines()]
    assert said[2:5] == ["[I]", "[I] === Performance summary ===", said[4]]
    assert re.fullmatch(r"\[I\] Throughput: [\d.e+]+ qps", said[4])
    assert said[0].startswith("[I] Warmup completed ")
    assert "left out" in shown.err


def test_the_page_describes_what_measure_prints(command: Command, exported: Path) -> None:
    section = re.search(r"^## A measured engine\n(.*?)^## ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None
    named = re.compile(rf"{NAMED.pattern}|(trtexec\.\w+_ms|parts)$")
    documents = [
        document_of(command, exported),
        document(measured(four()), 10),
        document(measured(Block(np.ones(4), 1.0, 0.0, telemetry={"enqueue_ms": 0.25})), None),
        document(measured(four(), limits={"power_limit_w": 700}), None),
    ]
    found = {re.sub(r"^measurement\..*", "measurement", field) for field in _fields(documents, named)}
    assert found == _described(section[1])


# with the parts of a GPU


def measured(block: Block, *, limits: Any = None, **run: Any) -> Measured:
    """What a GPU of which latency can be told apart would give."""
    machine = Machine("gpu", "H200", 132, 1, "Linux", libraries={"tensorrt": "11.4"}, limits=limits or {})
    measurement = Measurement((block,), 1, 1, 0.2, 21, converged=False)
    settings = Settings(streams=1, **run)
    engine = EngineFile(Path("net.plan"), ("tensorrt",), Settings(device=0), settings)
    found = EngineMeasured(measurement, machine, {"x": (1, 3)})
    return Measured(engine, "tensorrt", settings, Policy(parts=True), found)


def test_trtexecs_lines_are_marked_as_its_log_marks_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_like_trtexec(measured(four(enqueue_ms=[9.0] * 4)), 11)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "[I] Warmup completed 21 queries over 200 ms",
        "[I] Timing trace has 4 queries over 0.02 s",
        "[I]",
        "[I] === Performance summary ===",
    ]
    assert lines[-4].startswith("[W] * Throughput may be bound by Enqueue Time")
    assert lines[-3] == "[W]   If you are using --noCudaGraph, removing it may increase throughput."


def test_what_launching_and_copies_take_is_shown_apart(capsys: pytest.CaptureFixture[str]) -> None:
    block = Block(np.ones(4), 1.0, 0.0, telemetry={"enqueue_ms": 0.25, "h2d_ms": 0.5, "clock_mhz": 1755.0})
    print_measured(measured(block))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "enqueue_ms (apart) 0.2500 ms" in lines
    assert "h2d_ms (apart) 0.5000 ms" in lines


@pytest.mark.parametrize(("captured", "said"), [(0.0, True), (1.0, False)])
def test_a_cuda_graph_that_was_not_made_is_told(captured: float, said: bool) -> None:
    block = Block(np.ones(4), 1.0, 0.0, telemetry={"cuda_graph": captured})
    told = notes(measured(block, cuda_graph=True))
    assert any("cannot be captured" in note for note in told) == said


# how it is measured


def settled(path: Path, **options: Any) -> tuple[EngineFile, Policy]:
    return plan(MeasureOptions(path, **options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warm_up": -1.0}, "--warm-up must be zero or more, not -1"),
        ({"warm_up": math.nan}, "--warm-up must be zero or more, not nan"),
        ({"warm_up": math.inf}, "--warm-up must be zero or more and finite, not inf"),
        ({"duration": 0.0}, "--duration must be more than zero, not 0"),
        ({"duration": math.inf}, "--duration must be more than zero and finite, not inf"),
        ({"streams": 1.5}, "--streams must be a whole number, not 1.5"),
    ],
)
def test_what_is_no_time_and_no_number_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        MeasureOptions(Path("engine"), **options)


def test_a_warm_up_of_nothing_is_one() -> None:
    assert MeasureOptions(Path("engine"), warm_up=0.0).warm_up == 0


@pytest.mark.parametrize(
    ("major", "graph", "transfers", "spins"), [(10, False, True, False), (11, True, False, True)]
)
def test_defaults_are_those_of_the_version(
    exported: Path, major: int, graph: bool, transfers: bool, spins: bool
) -> None:
    engine, policy = settled(exported, like_trtexec=major)
    assert (engine.run["cuda_graph"], engine.run["streams"]) == (graph, 1)
    assert (policy.transfers, policy.spin_wait, policy.parts) == (transfers, spins, True)
    assert policy.block_seconds == policy.maximum_seconds == policy.minimum_seconds == 3.0


def test_what_is_asked_for_goes_before_the_versions_defaults(exported: Path) -> None:
    asked = {
        "streams": 4,
        "cuda_graph": True,
        "transfers": False,
        "iterations": 7,
        "warm_up": 1.0,
        "duration": 2.0,
    }
    engine, policy = settled(exported, like_trtexec=10, **asked)
    assert (engine.run["cuda_graph"], engine.run["streams"]) == (True, 4)
    assert (policy.transfers, policy.minimum_inferences, policy.warmup_seconds) == (False, 28, 1.0)
    assert policy.block_seconds == policy.maximum_seconds == policy.minimum_seconds == 2.0


def test_without_trtexec_measuring_is_as_in_a_search(exported: Path) -> None:
    assert settled(exported)[1] == Policy()


def test_a_short_duration_still_has_blocks_for_an_interval(exported: Path) -> None:
    _, policy = settled(exported, duration=0.05)
    assert policy.maximum_seconds == policy.minimum_seconds == 0.05
    assert policy.block_seconds == pytest.approx(0.01)


def test_cold_and_transfers_are_asked_for(exported: Path) -> None:
    _, policy = settled(exported, cold=True, transfers=True)
    assert policy.cold
    assert policy.transfers


def test_a_plan_runs_on_the_tensorrt_that_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    (tmp_path / "net.engine").write_bytes(b"a plan")
    engine, _ = settled(tmp_path / "net.engine")
    assert "tensorrt-rtx" in engine.backends
    assert engine.run == {"streams": 1, "cuda_graph": False, "kernel_specialization": "eager"}


def test_like_trtexec_a_plan_that_cannot_be_captured_is_run_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    (tmp_path / "net.plan").write_bytes(b"a plan")
    plain = settled(tmp_path / "net.plan", backend="tensorrt-rtx:device=1")[0]
    like = settled(tmp_path / "net.plan", backend="tensorrt-rtx:device=1", like_trtexec=11)[0]
    assert plain.options == {"device": 1}
    assert like.options == {"device": 1, "graph_fallback": True}


def test_a_named_backend_runs_a_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "model_1").write_bytes(b"a plan")
    assert find_engine(tmp_path / "model_1", "tensorrt").backends == ("tensorrt",)


# what is wrong


def files(folder: Path) -> None:
    """Files that are no engines, and an export that lost its own."""
    tiny_conv(folder)
    for name, content in {"bad.onnx": "hello", "zero.onnx": "", "bad.ort": "hello", "thing.bin": "x"}.items():
        (folder / name).write_text(content)
    (folder / "net.plan").write_text("a plan")
    for name, evidence in {"empty": None, "odd": "hello", "poor": '{"files": {}}'}.items():
        (folder / name).mkdir()
        if evidence is not None:
            (folder / name / "evidence.json").write_text(evidence)


BAD: list[tuple[list[str], str]] = [
    (["nope.onnx"], "there is no 'nope.onnx'"),
    (["bad.onnx"], "onnxruntime cannot run bad.onnx: "),
    (["zero.onnx"], "onnxruntime cannot run zero.onnx: "),
    (["bad.ort"], "onnxruntime cannot run bad.ort: "),
    (["thing.bin"], "nothing tells what 'thing.bin' is. Name its backend with --backend"),
    (["empty"], "the folder 'empty' is no export: it has no evidence.json"),
    (["odd"], "'odd/evidence.json' is no evidence of ours: JSON is malformed"),
    (["poor"], "'poor/evidence.json' is no evidence of ours: Object missing required field"),
    (
        ["tiny.onnx", "--backend", "tensorrt"],
        "the backend tensorrt cannot run the model 'tiny.onnx' as it is",
    ),
    (["tiny.onnx", "--backend", "fake"], "the backend fake cannot run the model"),
    (["net.plan", "--backend", "onnxruntime"], "the backend onnxruntime cannot run the plan 'net.plan'"),
    (["net.plan", "--backend", "fake"], "the backend fake cannot run the plan"),
    (["tiny.onnx", "--backend", "magic"], "unknown backend 'magic'"),
    (["tiny.onnx", "--backend", "onnxruntime:threads=1"], "no option 'threads'"),
    (["tiny.onnx", "--shapes", "y:1x2"], "no input 'y'"),
    (["tiny.onnx", "--shapes", "x:1x3x13x12"], "dimension 2 of the input 'x' is fixed to 12, not 13"),
    (["tiny.onnx", "--shapes", "x:a"], "cannot read the shape 'x:a'"),
    (["tiny.onnx", "--inputs", "nope.npz"], "no such file: 'nope.npz'"),
    (["tiny.onnx", "--inputs", "thing.bin"], "thing.bin"),
    (["tiny.onnx", "--streams", "0"], "--streams must be at least 1, not 0"),
    (["tiny.onnx", "--streams", "two"], "invalid value for '--streams'"),
    (["tiny.onnx", "--iterations", "0"], "--iterations must be at least 1, not 0"),
    (["tiny.onnx", "--duration", "0"], "--duration must be more than zero"),
    (["tiny.onnx", "--duration", "-3s"], "'-3s' is no time"),
    (["tiny.onnx", "--warm-up", "soon"], "'soon' is no time"),
    (["tiny.onnx", "--cuda-graph"], "--cuda-graph is for engines on a GPU"),
    (["tiny.onnx", "--transfers"], "--transfers is for engines on a GPU"),
    (["tiny.onnx", "--like-trtexec", "9"], "'9' is not one of '10', '11'"),
    (["tiny.onnx", "--like-trtexec", "10", "--cold"], "--cold and --like-trtexec exclude each other"),
    ([""], "the path is empty"),
    ([], "missing argument 'ENGINE'"),
    (["tiny.onnx", "another.onnx"], "got unexpected extra argument"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_what_makes_no_sense_is_one_line(
    command: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    files(tmp_path)
    assert said in command("measure", *arguments, "-q").complaint


def test_an_export_without_its_engine_is_refused(command: Command, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "best")
    (tmp_path / "best" / "engine.json").unlink()
    assert "has lost its engine.json" in command("measure", "best").complaint


def test_a_spoiled_export_is_refused(command: Command, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "best")
    (tmp_path / "best" / "engine.json").write_text("hello")
    assert (
        "fake cannot run best: the imaginary engine is spoiled" in command("measure", "best", "-q").complaint
    )


def test_an_export_runs_on_no_other_backend(command: Command, exported: Path) -> None:
    said = command("measure", exported, "--backend", "onnxruntime").complaint
    assert "is of the backend fake, not onnxruntime" in said


def test_a_plan_without_tensorrt_says_how_to_get_it(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackendEntry, "is_installed", lambda _: False)
    (tmp_path / "net.plan").write_bytes(b"a plan")
    said = command("measure", "net.plan").complaint
    assert "a plan needs TensorRT, which is not installed. Install it: pip install" in said


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
def test_a_plan_without_a_gpu_is_one_line(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    (tmp_path / "net.plan").write_bytes(b"a plan")
    said = command("measure", "net.plan", "--backend", "tensorrt-rtx", "-q").complaint
    assert "no NVIDIA GPU can be used" in said


def test_where_no_tensorrt_can_run_a_plan_both_say_why(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner.engine_files._installed", lambda: ("fake", "onnxruntime"))
    (tmp_path / "net.plan").write_bytes(b"a plan")
    said = command("measure", "net.plan", "-q").complaint
    assert "fake cannot run" in said
    assert "onnxruntime cannot run" in said
