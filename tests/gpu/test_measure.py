"""`tuner measure` and `tuner show --trtexec` with a real engine on a real GPU."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import tuner
from examples import models
from tuner.cli import main

pytestmark = pytest.mark.gpu

SHORT = ("--backend", "tensorrt-rtx", "--duration", "300ms", "-q")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported baseline of a small network at a batch of 8, with its workspace beside it."""
    folder = tmp_path_factory.mktemp("exported")
    result = tuner.search(
        models.save("residual_cnn", folder),
        trials=1,
        shapes=("images:8x3x64x64",),
        backend="tensorrt-rtx",
        workspace=folder / "w",
        self_test=0,
        finalists=0,
    )
    return result.export(folder / "best")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    return printed.out


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return json.loads(run(capsys, "measure", *arguments, *SHORT, "--json"))


def test_a_plan_says_its_inputs_and_is_run_at_its_optimum(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(exported / "engine.plan", tmp_path / "net.plan")
    found = document(capsys, tmp_path / "net.plan")
    assert found["shapes"] == {"images": [8, 3, 64, 64]}
    assert found["metrics"]["latency_ms"]["value"] > 0
    assert {"enqueue_ms", "h2d_ms", "d2h_ms"} <= found["parts"].keys()
    assert document(capsys, tmp_path / "net.plan", "--shapes", "images:4x3x64x64")["settings"]["batch"] == 4


def test_a_shape_beyond_the_profile_is_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(exported / "engine.plan", tmp_path / "net.plan")
    with pytest.raises(SystemExit) as ended:
        main(["measure", str(tmp_path / "net.plan"), *SHORT, "--shapes", "images:999x3x64x64"])
    assert ended.value.code == 2
    assert "the engine takes 'images' from 1x3x64x64 to 32x3x64x64" in capsys.readouterr().err


def test_a_plan_and_its_export_take_the_same_time(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # beside its evidence it would be the export
    shutil.copy(exported / "engine.plan", tmp_path / "net.plan")
    plan, export = (document(capsys, path) for path in (tmp_path / "net.plan", exported))
    assert (plan["about"], export["about"]) == (None, "trial 0 of residual_cnn")
    ratio = plan["metrics"]["latency_ms"]["value"] / export["metrics"]["latency_ms"]["value"]
    assert 0.8 < ratio < 1.25


@pytest.mark.parametrize("major", [10, 11])
def test_like_trtexec_every_line_of_the_summary_is_there(
    exported: Path, capsys: pytest.CaptureFixture[str], major: int
) -> None:
    out = run(capsys, "measure", exported, *SHORT, "--like-trtexec", major)
    names = re.findall(r"^\[I\] ([\w ]+): ", out, re.MULTILINE)
    assert names == [
        "Throughput",
        "Latency",
        "Enqueue Time",
        "H2D Latency",
        "GPU Compute Time",
        "D2H Latency",
        "Total Host Walltime",
        "Total GPU Compute Time",
    ]
    found = document(capsys, exported, "--like-trtexec", major)["trtexec"]
    copies = found["h2d_ms"]["median"] + found["d2h_ms"]["median"]
    assert (copies > 0) == (major == 10)
    assert found["latency_ms"]["mean"] == pytest.approx(
        sum(found[name]["mean"] for name in ("h2d_ms", "compute_ms", "d2h_ms"))
    )


def test_a_trial_has_its_line(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = run(capsys, "show", "--workspace", exported.parent / "w", "--trial", 0, "--trtexec")
    assert line.startswith("tensorrt_rtx --onnx=")
    assert "--optShapes=images:8x3x64x64" in line
    assert "--rtxCudaGraphStrategy=disable" in line
