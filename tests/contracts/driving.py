"""The TensorRT backend over real bindings without their library, as drive.py and drive_plan.py drive it."""

import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from engines.backends.tensorrt.run.load import ENGINE
from engines.core.values import Candidate, Dimension, Settings, Workload
from studies.core.space import baseline_of
from tests.contracts import cuda_standins
from tests.contracts.scripts import PLAN, Scripted, scripted
from tests.workloads import example, tiny_conv, workload_of

cuda_standins.install()

from engines.backends.tensorrt.backend import TensorRT  # noqa: E402 - the stand-ins come first

Step = Callable[[], object]


class Drive:
    """One pass over the backend, with some names hidden as if the version lacked them."""

    def __init__(self, name: str, real: ModuleType, folder: Path, hidden: frozenset[str]) -> None:
        self.name, self._real, self.folder, self._hidden = name, real, folder, hidden
        self.used: set[str] = set()
        self.errors: dict[str, str] = {}

    def open(self, **options: Any) -> tuple[TensorRT, Scripted]:
        """The backend over a world of its own."""
        script = scripted(self._real, self._hidden, self.used)
        sys.modules[self.name.replace("-", "_")] = script.world.module  # type: ignore[assignment]
        return TensorRT(self.name, Settings(options), self.folder), script

    def attempt(self, what: str, step: Step) -> Any:
        """What a step gives; None, and the error noted, where it fails."""
        try:
            return step()
        except Exception:
            self.errors[what] = traceback.format_exc()[-2000:]
            return None


def conv(folder: Path) -> Workload:
    return workload_of(tiny_conv(folder), x=(2, 3, 12, 12))


def spaces(drive: Drive) -> dict[str, tuple[Dimension, ...]]:
    workloads = {"conv": conv(drive.folder), "dense": example("mlp", drive.folder, features=(2, 64))}
    return {what: drive.open()[0].dimensions(of, concurrent=True) for what, of in workloads.items()}


def build(drive: Drive, backend: TensorRT, workload: Workload, candidate: Candidate | None = None) -> Any:
    """The facts of a build, of the baseline where no candidate is given."""
    details: list[str] = []
    made = candidate or baseline_of(backend.dimensions(workload, concurrent=False))
    with tempfile.TemporaryDirectory(dir=drive.folder) as folder:
        facts = backend.build(workload.model.file.path, workload, made, Path(folder), details.append)
        assert (Path(folder) / ENGINE).read_bytes() == PLAN
    assert details, "the builder's progress was not reported"
    return facts
