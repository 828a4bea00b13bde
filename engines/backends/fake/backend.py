"""A simulated machine: a landscape like a GPU's, drawn from a seed, with noise, failures and no hardware.

Its options are those of `engines.backends.fake.machine`. An engine's samples differ with each opening of any
engine: openings are counted in the folder for caches, so a fresh workspace replays them all.
"""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from engines.artifacts.fingerprints import FINGERPRINT
from engines.backends.base import Detail, GraphMaker, Runner
from engines.backends.fake.machine import (
    BUILD_FAULTS,
    DEFAULTS,
    PRECISION,
    PROFILE,
    RUN_FAULTS,
    FakeProbe,
    FakeRunner,
    outputs_of,
    read_options,
    unit,
)
from engines.backends.simulated import count_opening, simulated_device
from engines.core.errors import EngineError
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Tensors, Value, Workload
from engines.core.wire import digest, from_json, to_json
from engines.machine import cpu
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe

ENGINE = "engine.json"
OPENINGS = "fake.openings"
PROCESSOR = "Imaginary GPU"


class FakeGraphs:
    """Graphs that contain only their settings."""

    def key(self, settings: Settings) -> object:
        return None if settings["precision"] == "fp32" else "fake"

    def make(self, settings: Settings, file: Path, report: Detail) -> Mapping[str, Value]:
        file.write_bytes(to_json(settings))
        return {}


class Fake:
    """The backend `fake`."""

    name = "fake"

    def __init__(self, options: Settings, folder: Path) -> None:
        self._options = read_options(options)
        self._faults = str(self._options.faults).split("+")
        self._folder, self._probe = folder, FakeProbe()

    def machine(self) -> Machine:
        return Machine(
            kind="simulated",
            processor=PROCESSOR,
            cores=100,
            memory_bytes=16 << 30,
            system=cpu.system_name(),
            libraries={"fake": "1"},
        )

    def device(self) -> Device:
        return simulated_device(PROCESSOR)

    def shared(self) -> Shared:
        return Shared()

    def warnings(self) -> tuple[str, ...]:
        return ()

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        is_free = concurrent and workload.batched_inputs and len(workload.plan.cases) == 1
        batches = (1, 2, 4, 8, 16, 32) if is_free else ()
        return (
            Dimension(
                "precision", "graph", tuple(PRECISION), "fp32", "numeric type of weights and activations"
            ),
            Dimension("profile", "build", tuple(PROFILE), "wide", "range of shapes that the engine takes"),
            Dimension("builder_optimization_level", "build", (0, 1, 2, 3, 4, 5), 3, "effort of the builder"),
            Dimension("max_aux_streams", "build", (0, 1, 2, 4), 0, "streams inside one inference"),
            Dimension("cuda_graph", "run", (False, True), False, "one launch for the whole inference"),
            Dimension("streams", "run", (1, 2, 4, 8) if concurrent else (1,), 1, "inferences at a time"),
            Dimension(
                "batch",
                "run",
                tuple(sorted({*batches, workload.plan.batch})),
                workload.plan.batch,
                "samples in one inference",
            ),
        )

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        return [outputs_of(batch) for batch in batches]

    def graphs(self, workload: Workload) -> GraphMaker:
        return FakeGraphs()

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        options = self._options
        return [options.seed, options.fault_rate, self._faults, options.build_seconds, options.inert]

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        settings = candidate.build
        is_model = graph == workload.model.file.path
        graph_settings = {"precision": "fp32"} if is_model else from_json(graph.read_bytes(), Settings)
        inert = {name: DEFAULTS[name] for name in self._options.inert_names}
        spec = Settings({**graph_settings, **settings, **inert}, model=workload.model.digest)
        self._fail_build(spec)
        time.sleep(self._options.trial_seconds / 2)
        (folder / ENGINE).write_bytes(to_json(spec))
        effort = 1 + 0.5 * int(settings["builder_optimization_level"])
        seconds = round(self._options.build_seconds * effort, 3)
        return {"build_seconds": seconds, FINGERPRINT: digest(spec)}

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        try:
            built = from_json((folder / ENGINE).read_bytes(), Settings)
        except msgspec.DecodeError as error:
            raise EngineError(f"the imaginary engine is spoiled: {error}") from error
        spec = Settings({**built, **settings})
        time.sleep(self._options.trial_seconds / 2)
        fault = self._fault(spec, RUN_FAULTS)
        opening = count_opening(self._folder / OPENINGS)
        return FakeRunner(spec, self._options, opening, self._probe, fault=fault, keep_parts=policy.parts)

    def probe(self) -> Probe:
        return self._probe

    def clock(self) -> float:
        return time.perf_counter()

    def _fail_build(self, spec: Settings) -> None:
        match self._fault(spec, BUILD_FAULTS):
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                while True:
                    time.sleep(1)
            case "refuse":
                raise EngineError("the imaginary builder found no implementation for this network")

    def _fault(self, spec: Settings, kinds: Sequence[str]) -> str | None:
        """Return the fault that this spec has; vendor defaults have none, so that a baseline exists."""
        wanted = [kind for kind in kinds if kind in self._faults]
        share = self._options.fault_rate * len(wanted) / len(self._faults)
        is_default = all(spec[name] == value for name, value in DEFAULTS.items())
        if is_default or unit("fault", self._options.seed, spec) >= share:
            return None
        return wanted[int(unit("which fault", self._options.seed, spec) * len(wanted))]
