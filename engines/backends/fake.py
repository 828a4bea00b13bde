"""A made-up machine: a landscape like a GPU's, drawn from a seed, with noise, failures and no hardware.

Options: seed, noise (relative), fault_rate (share of candidates that fail), faults (names joined by '+'),
trial_seconds (real time a trial takes), build_seconds (simulated time of a build).
"""

import hashlib
import math
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from engines import cpu
from engines.backends.base import Detail, Runner
from engines.errors import EngineError, UserError
from engines.values import Block, Candidate, Dimension, Machine, Settings, Tensors, Value, Workload
from engines.wire import digest, from_json, to_json

OPTIONS: Mapping[str, Value] = {
    "seed": 0,
    "noise": 0.01,
    "fault_rate": 0.0,
    "faults": "crash+hang+refuse+memory+nan+wrong",
    "trial_seconds": 0.0,
    "build_seconds": 2.0,
}
BUILD_FAULTS = ("crash", "hang", "refuse")
RUN_FAULTS = ("memory", "nan", "wrong")
ENGINE = "engine.json"
BASE_MS = 4.0
MOST_SAMPLES = 400
ALLOCATION_BYTES = 1 << 26

# time of each choice relative to the first; the landscape's seed bends them by a few per cent
PRECISION = {"fp32": 1.0, "fp16": 0.55, "int8": 0.38}
PROFILE = {"wide": 1.0, "narrow": 0.85, "static": 0.7}
DEFAULTS = {"precision": "fp32", "profile": "wide", "builder_optimization_level": 3, "max_aux_streams": 0}
ERROR = {"fp32": 1e-6, "fp16": 1.2e-3, "int8": 2.5e-2}
WRONG_ERROR = 0.5


class Fake:
    """The backend `fake`."""

    name = "fake"

    def __init__(self, options: Settings, folder: Path) -> None:
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise UserError(f"the backend fake has no option {unknown[0]!r}", f"Known: {', '.join(OPTIONS)}.")
        values = {**OPTIONS, **options}
        for name, default in OPTIONS.items():
            if isinstance(default, int | float) and not isinstance(values[name], int | float):
                raise UserError(f"{name} of the backend fake is a number, not {values[name]!r}", "Write 0.5.")
        self._seed, self._noise = values["seed"], float(values["noise"])
        self._fault_rate, self._faults = float(values["fault_rate"]), str(values["faults"]).split("+")
        self._trial_seconds, self._build_seconds = (
            float(values["trial_seconds"]),
            float(values["build_seconds"]),
        )
        wrong = sorted(set(self._faults) - {*BUILD_FAULTS, *RUN_FAULTS})
        if wrong:
            raise UserError(
                f"the backend fake has no fault {wrong[0]!r}",
                f"Known: {'+'.join(BUILD_FAULTS + RUN_FAULTS)}.",
            )

    def machine(self) -> Machine:
        return Machine(
            kind="simulated",
            processor="Imaginary GPU",
            cores=100,
            memory_bytes=16 << 30,
            system=cpu.system_name(),
            libraries={"fake": "1"},
        )

    def warnings(self) -> tuple[str, ...]:
        return ()

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        batches = (1, 2, 4, 8, 16, 32) if concurrent and workload.batched_inputs else ()
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
                tuple(sorted({*batches, workload.batch})),
                workload.batch,
                "samples in one inference",
            ),
        )

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        return [_outputs(batch) for batch in batches]

    def graph_key(self, workload: Workload, settings: Settings) -> object:
        return None if settings["precision"] == "fp32" else "fake"

    def make_graph(self, workload: Workload, settings: Settings, file: Path) -> Mapping[str, Value]:
        file.write_bytes(to_json(settings))
        return {}

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        return [self._seed, self._fault_rate, self._faults, self._build_seconds]

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        settings = candidate.build
        is_model = graph == Path(workload.model.path)
        graph_settings = {"precision": "fp32"} if is_model else from_json(graph.read_bytes(), Settings)
        spec = Settings({**graph_settings, **settings}, model=workload.model.digest)
        self._fail_build(spec)
        time.sleep(self._trial_seconds / 2)
        (folder / ENGINE).write_bytes(to_json(spec))
        effort = 1 + 0.5 * int(settings["builder_optimization_level"])
        return {"build_seconds": round(self._build_seconds * effort, 3)}

    def open(self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors) -> Runner:
        try:
            built = from_json((folder / ENGINE).read_bytes(), Settings)
        except msgspec.DecodeError as error:
            raise EngineError(f"the imaginary engine is spoiled: {error}") from error
        spec = Settings({**built, **settings})
        time.sleep(self._trial_seconds / 2)
        return FakeRunner(spec, self._seed, self._noise, self._fault(spec, RUN_FAULTS))

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
        """The fault that the spec is fated to have; vendor defaults have none, so that a baseline exists."""
        wanted = [kind for kind in kinds if kind in self._faults]
        share = self._fault_rate * len(wanted) / len(self._faults)
        is_default = all(spec[name] == value for name, value in DEFAULTS.items())
        if is_default or _unit("fault", self._seed, spec) >= share:
            return None
        return wanted[int(_unit("which fault", self._seed, spec) * len(wanted))]


class FakeRunner:
    """Samples drawn around the landscape's value; nothing waits."""

    device_memory_bytes = None

    def __init__(self, spec: Settings, seed: Value, noise: float, fault: str | None) -> None:
        self.streams = int(spec["streams"])
        self._spec, self._fault, self._noise = spec, fault, noise
        self._latency_ms = latency_ms(spec, seed)
        self._random = np.random.default_rng(int(digest("samples", seed, spec), 16) % 2**63)
        if fault == "memory":
            self._exhaust_memory()

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        values = _outputs(inputs)["output"].astype(np.float64)
        if self._fault == "nan":
            values[0] = math.nan
        error = WRONG_ERROR if self._fault == "wrong" else ERROR[str(self._spec["precision"])]
        return {"output": (values + error * np.roll(values, 1)).astype(np.float32)}

    def block(self, seconds: float) -> Block:
        count = int(np.clip(seconds * 1e3 / self._latency_ms, 1, MOST_SAMPLES))
        drift = self._random.normal(0.0, self._noise / 4)
        latency = self._latency_ms * np.exp(drift + self._random.normal(0.0, self._noise, count))
        span = max(seconds, float(latency.sum()) / 1e3 / self.streams)
        return Block(latency_ms=latency, span_seconds=span, started_at=time.time())

    def close(self) -> None:
        """Nothing is held."""

    def _exhaust_memory(self) -> None:
        """Allocates for real, then reports what a device that is full reports."""
        held = np.ones(ALLOCATION_BYTES, dtype=np.uint8)
        raise EngineError(f"out of memory after {held.nbytes} bytes", kind="out_of_memory")


def latency_ms(spec: Settings, seed: Value) -> float:
    """The true time of one inference: nearly multiplicative, with interactions, bent by the seed."""
    level, aux, streams = (
        int(spec[name]) for name in ("builder_optimization_level", "max_aux_streams", "streams")
    )
    batch = int(spec["batch"])
    value = BASE_MS * PRECISION[str(spec["precision"])] * PROFILE[str(spec["profile"])]
    value *= 1.15 - 0.05 * min(level, 4)
    value *= 1 - 0.04 * math.log2(1 + aux)
    if spec["precision"] != "fp32" and spec["profile"] == "static":
        value *= 0.9
    launch = 0.08 if spec["cuda_graph"] else 0.45
    value *= 0.35 + 0.65 * batch / 8 if batch > 1 else 0.35
    value *= streams**0.6
    bends = (
        _unit("bend", seed, spec["model"], name, value) for name, value in spec.items() if name != "model"
    )
    return float(value * math.prod(1 + 0.06 * (unit - 0.5) for unit in bends) + launch)


def _outputs(inputs: Tensors) -> Tensors:
    """What the imaginary model computes: 64 numbers that depend on every byte of the inputs."""
    content = hashlib.sha256()
    for name in sorted(inputs):
        content.update(np.ascontiguousarray(inputs[name]).tobytes())
    random = np.random.default_rng(int.from_bytes(content.digest()[:8], "little"))
    return {"output": random.normal(size=64).astype(np.float32)}


def _unit(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    return int(digest(*parts)[:13], 16) / 16**13
