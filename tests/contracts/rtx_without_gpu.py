"""TensorRT-RTX in a worker on a machine without a GPU: it builds for real, and knows of a made-up machine."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from engines.backends.base import Detail
from engines.backends.simulated import simulated_device
from engines.backends.tensorrt.backend import TensorRT
from engines.core.values import Candidate, Machine, Settings, Value, Workload
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import NoProbe, Probe


class WithoutGpu(TensorRT):
    """With the option `stuck`, the vendor's builder never comes back from telling its progress."""

    def __init__(self, options: Settings, folder: Path) -> None:
        own = {name: value for name, value in options.items() if name != "stuck"}
        super().__init__("tensorrt-rtx", Settings(own), folder)
        self._is_stuck = options.get("stuck", False)

    def machine(self) -> Machine:
        return Machine("simulated", "no GPU", cores=1, memory_bytes=0, system="test")

    def device(self) -> Device:
        return simulated_device("no GPU")

    def probe(self) -> Probe:
        return NoProbe()

    def shared(self) -> Shared:
        return Shared()

    def warnings(self) -> tuple[str, ...]:
        return ()

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        def never_return(detail: str) -> None:
            threading.Event().wait()

        told = never_return if self._is_stuck else report
        return super().build(graph, workload, candidate, folder, told)


def worker_knows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every worker that is started from now on know the backend `rtx-without-gpu`."""
    (folder / "sitecustomize.py").write_text(
        "from engines.backends.registry import BACKENDS, BackendEntry\n"
        "BACKENDS['rtx-without-gpu'] = BackendEntry(\n"
        f"    {__name__!r}, 'WithoutGpu', '', 'tensorrt_rtx', '', automatic=False\n"
        ")\n"
    )
    monkeypatch.syspath_prepend(str(folder))
