"""A worker of the backend `troublesome`, and what it needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import Workload
from engines.worker.client import Worker
from tests.engines.worker.workers import opening
from tests.troublesome import worker_knows
from tests.workloads import tiny_conv, workload_of


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    worker_knows(tmp_path, monkeypatch)
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path))


@pytest.fixture
def worker(workspace: Workspace, workload: Workload) -> Iterator[Worker]:
    with Worker(opening(workspace, workload), workspace) as opened:
        yield opened
