"""One module and one entry in the table are all that a new backend takes."""

from pathlib import Path

import pytest

import tuner
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import Settings
from engines.machine.device import this_host
from engines.worker.client import Worker
from engines.worker.protocol import Open
from tests import tiny_backend
from tests.command import Command
from tests.workloads import QUICK, workload_of


@pytest.fixture(autouse=True)
def _tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_backend.known_to_workers(tmp_path, monkeypatch)


def test_a_search_with_it_finds_what_is_faster_and_right(model: Path, tmp_path: Path) -> None:
    result = tuner.search(
        model, backend="tiny", trials=2, fix=("simplify=none",), policy=QUICK, workspace=tmp_path / "w"
    )
    assert [trial.state for trial in result.study.trials] == ["feasible", "feasible"]
    assert result.best is not None
    assert result.best.candidate.run["slow"] is False
    assert result.best.metrics["latency_ms"].value == 1.0
    # what is right is what ONNX Runtime computes of the model, and not this backend
    assert 0 < result.best.metrics["error"].value < 1e-5
    assert result.study.spec.machine.libraries == {"tiny": "1"}


def test_backend_reports_its_device(model: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w").create()
    root = str(workspace.root.resolve())
    opening = Open("tiny", Settings(), root, workload_of(model), QUICK, concurrent=False)
    with Worker(opening, workspace) as worker:
        opened = worker.open()
    assert (opened.device.host, opened.device.uuid, opened.device.kind) == (this_host(), "cpu", "cpu")
    assert opened.device.name == f"{this_host()}/cpu"
    assert opened.warnings == ("it is slow",)


def test_unsupported_feature_is_refused(command: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "plugin.so").write_bytes(b"")
    said = command("search", model, "--backend", "tiny", "--plugins", tmp_path / "plugin.so").complaint
    assert "the backend tiny takes no plugins. Use --backend tensorrt, or leave them out." in said
    assert "the backend tiny cannot run the model" in command("measure", model, "--backend", "tiny").complaint


def test_it_is_named_among_those_that_are_known(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Known: auto, tensorrt.*, tiny"):
        tuner.search(model, backend="small", workspace=tmp_path / "w")
