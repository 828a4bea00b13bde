"""What only a vendor's library can answer is asked of a worker."""

import math
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import Settings
from engines.machine import gpu
from engines.worker import questions
from engines.worker.client import Worker
from tests.workloads import example


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


def test_nodes_are_ranked_with_progress_and_errors_may_be_infinite(
    tmp_path: Path, workspace: Workspace
) -> None:
    said: list[str] = []
    with Worker(None, workspace) as worker:
        found = questions.rank_nodes(
            worker,
            example("overflow", tmp_path),
            Settings(precision="fp16"),
            workspace.caches,
            said.append,
            "",
        )
    assert (found[0].node, found[0].operator, found[0].error) == ("MatMul_11", "MatMul", math.inf)
    assert 0 < found[-1].error < math.inf
    assert said[0] == "reading the model"
    assert f"lowering node 1 of {len(found)} by itself" in said
    assert [file.name.partition("-")[0] for file in workspace.caches.iterdir()] == ["sensitivity"]


def test_a_model_that_cannot_be_ranked_is_refused_with_the_hint(tmp_path: Path, workspace: Workspace) -> None:
    workload = example("mlp", tmp_path)
    workload.model.file.path.unlink()
    with Worker(None, workspace) as worker, pytest.raises(UserError):
        questions.rank_nodes(
            worker, workload, Settings(precision="fp16"), workspace.caches, lambda _: None, "Export it again."
        )


def test_a_machine_that_shows_no_gpu_starts_no_worker(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(gpu, "may_have_gpu", lambda: False)
    monkeypatch.delattr(Worker, "start")
    assert not questions.has_gpu(workspace)


def test_a_gpu_that_is_hidden_is_not_found_by_the_worker_either(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    monkeypatch.setattr(gpu, "may_have_gpu", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not questions.has_gpu(workspace)
    with pytest.raises(UserError):
        questions.gpu_conditions(workspace, 0)
    assert list(workspace.logs.iterdir()) == []
