"""A whole backend in one module, as `CONTRIBUTING.md` asks for: ONNX's own evaluator, in pure Python.

Graphs and the reference are shared code; `known_to_workers` adds its entry to the table.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from engines.backends import registry
from engines.backends.base import Detail, Runner
from engines.backends.registry import BackendEntry
from engines.core.errors import UserError
from engines.core.results import Block
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Tensors, Value, Workload
from engines.graphs.dimensions import Target
from engines.graphs.recipe import GraphRecipe
from engines.machine import cpu
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import NoProbe, Probe

NAME = "tiny"
ENGINE = "engine.onnx"
ENTRY = BackendEntry(__name__, "Tiny", "ONNX's own evaluator", None, "", automatic=False, device="cpu")


def known_to_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the entry to the table, here and in every worker that is started from now on."""
    monkeypatch.setitem(registry.BACKENDS, NAME, ENTRY)
    (folder / "sitecustomize.py").write_text(
        "from engines.backends.registry import BACKENDS, BackendEntry\n"
        f"BACKENDS[{NAME!r}] = BackendEntry({ENTRY.module!r}, {ENTRY.factory!r}, '', None, '', False)\n"
    )
    monkeypatch.syspath_prepend(str(folder))


class TinyRunner:
    """A model in the evaluator. Its outputs are real; its times are made up, so that no noise is in them."""

    streams = 1
    device_memory_bytes = None

    def __init__(self, file: Path, latency_ms: float) -> None:
        self._model, self._latency_ms = ReferenceEvaluator(str(file)), latency_ms

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        return dict(zip(self._model.output_names, self._model.run(None, dict(inputs)), strict=True))

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        latencies = np.full(max(1, int(seconds * 1e3 / self._latency_ms)), self._latency_ms)
        return Block(latencies, float(latencies.sum()) / 1e3, time.time())

    def close(self) -> None:
        """Nothing is held."""


class Tiny:
    """The backend `tiny`; it has no options."""

    name = NAME

    def __init__(self, options: Settings, folder: Path) -> None:
        if options:
            raise UserError(f"the backend tiny has no option {next(iter(options))!r}", "Leave it out.")
        self._folder = folder

    def machine(self) -> Machine:
        return Machine(
            "cpu", cpu.processor_name(), cpu.available_cores(), 1 << 30, "test", libraries={"tiny": "1"}
        )

    def device(self) -> Device:
        return cpu.device()

    def shared(self) -> Shared:
        return Shared()

    def warnings(self) -> tuple[str, ...]:
        return ("it is slow",)

    def probe(self) -> Probe:
        return NoProbe()

    def clock(self) -> float:
        return time.perf_counter()

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        slow = Dimension("slow", "run", (True, False), True, "takes twice the time")
        streams = Dimension("streams", "run", (1,), 1, "inferences at a time")
        return (*self.graphs(workload).dimensions(), slow, streams)

    def graphs(self, workload: Workload) -> GraphRecipe:
        return GraphRecipe(Target(("fp32",), ()), workload, self._folder)

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        return self.name

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        shutil.copyfile(graph, folder / ENGINE)
        return {}

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        return TinyRunner(folder / ENGINE, 2.0 if settings["slow"] else 1.0)
