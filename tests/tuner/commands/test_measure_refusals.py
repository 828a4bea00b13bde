"""What `tuner measure` refuses, in one line."""

import shutil
from pathlib import Path

import pytest

from engines.backends.registry import BackendEntry
from engines.machine.gpu import has_gpu
from tests.command import Command
from tests.workloads import tiny_conv
from tuner.bundles import engine_files


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
    (["thing.bin"], "the kind of 'thing.bin' is not known. Name its backend with --backend"),
    (["empty"], "the folder 'empty' is not an export: it has no evidence.json"),
    (["odd"], "'odd/evidence.json' is not evidence of an export: JSON is malformed"),
    (["poor"], "'poor/evidence.json' is not evidence of an export: Object missing required field"),
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
    (["tiny.onnx", "--duration", "-3s"], "'-3s' is not a time"),
    (["tiny.onnx", "--warm-up", "soon"], "'soon' is not a time"),
    (["tiny.onnx", "--cuda-graph"], "--cuda-graph is for engines on a GPU"),
    (["tiny.onnx", "--transfers"], "--transfers is for engines on a GPU"),
    (["tiny.onnx", "--like-trtexec", "9"], "'9' is not one of '10', '11'"),
    (["tiny.onnx", "--like-trtexec", "10", "--cold"], "--cold and --like-trtexec exclude each other"),
    ([""], "the path is empty"),
    ([], "missing argument 'ENGINE'"),
    (["tiny.onnx", "another.onnx"], "got unexpected extra argument"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_invalid_arguments_are_refused_in_one_line(
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
    monkeypatch.setattr(engine_files, "_installed", lambda *_: ("fake", "onnxruntime"))
    (tmp_path / "net.plan").write_bytes(b"a plan")
    said = command("measure", "net.plan", "-q").complaint
    assert "fake cannot run" in said
    assert "onnxruntime cannot run" in said
