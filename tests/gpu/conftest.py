from pathlib import Path

import pytest

from engines.backends import open_backend
from engines.backends.base import Backend
from engines.values import Settings, Workload
from engines.workspace import Workspace
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
