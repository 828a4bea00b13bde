"""What the builder of TensorRT-RTX says while it builds."""

import re

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend, open_backend
from engines.core.values import Settings, Workload
from studies.core.space import candidate_at
from tests.contracts.rtx_builds import defaults

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")


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


def _build_alone(backend: Backend, workload: Workload, workspace: Workspace) -> list[str]:
    """The details that a build of the baseline tells, in a folder of its own."""
    candidate = candidate_at(dimensions := backend.dimensions(workload, False), defaults(dimensions))
    folder = workspace.root / "alone"
    folder.mkdir(exist_ok=True)
    details: list[str] = []
    backend.build(workload.model.file.path, workload, candidate, folder, details.append)
    return details
