"""TensorRT-RTX in a worker and in the command, on a machine without a GPU."""

from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import Settings
from engines.machine.gpu import has_gpu
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.core.space import candidate_at
from tests.command import Ended
from tests.contracts.rtx_builds import defaults
from tests.contracts.rtx_without_gpu import worker_knows
from tests.workloads import QUICK, tiny_conv, workload_of
from tuner.cli import main

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")

without_gpu = pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")


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
