from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend
from engines.backends.registry import open_backend
from engines.core.values import Settings, Workload
from tests.workloads import example


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def backend(workspace: Workspace) -> Backend:
    return open_backend("tensorrt-rtx", Settings(), workspace.caches)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return example("residual_cnn", tmp_path, images=(4, 3, 64, 64))
