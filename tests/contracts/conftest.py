"""TensorRT over the bindings of each version, and TensorRT-RTX as far as it goes without a GPU."""

from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend, open_backend
from engines.core.values import Settings, Workload
from tests.contracts.rtx_builds import EXAMPLES
from tests.contracts.versions import VERSIONS, Driven, drive
from tests.workloads import example


@pytest.fixture(scope="session", params=VERSIONS, ids="-".join)
def driven(request: pytest.FixtureRequest) -> Driven:
    """What came of driving the backend over a version."""
    backend, version = request.param
    return drive(backend, version)


@pytest.fixture
def space(driven: Driven) -> dict[str, Any]:
    """The dimensions for a network with a convolution, by name."""
    return {one["name"]: one for one in driven["spaces"]["conv"]}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def backend(workspace: Workspace) -> Backend:
    return open_backend("tensorrt-rtx", Settings(), workspace.caches)


@pytest.fixture
def mlp(tmp_path: Path) -> Workload:
    return example("mlp", tmp_path, **EXAMPLES["mlp"])
