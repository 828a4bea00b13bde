"""What the backend `fake` makes up: true times, noise, clocks and power, in simulated time.

Options: seed of the landscape; noise within an engine's samples, and run_noise between its openings (both
relative); drift (relative change with each opening); throttle (share of blocks in which the clock is held
down); waiting (share of inferences that wait for another process, for as long as they take); delay_ms (more
time for candidates with max_aux_streams=4: a true difference that is known); fault_rate (share of candidates
that fail); faults (names joined by '+'; `late` is right until it was timed); inert (dimensions of graphs and
builds, joined by '+', that make no difference to the engine); trial_seconds (real time that a trial takes);
build_seconds (simulated time of a build).
"""

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engines.core.errors import EngineError, UserError
from engines.core.results import Block
from engines.core.values import Samples, Settings, Tensors, Value
from engines.core.wire import digest
from engines.machine.telemetry import Reading

BUILD_FAULTS = ("crash", "hang", "refuse")
RUN_FAULTS = ("memory", "nan", "wrong", "late")
# faults that a candidate may have by default
FAULTS = "crash+hang+refuse+memory+nan+wrong"
BASE_MS = 4.0
MOST_SAMPLES = 400
ALLOCATION_BYTES = 1 << 26
CLOCK_MHZ = 1500.0
POWER_W = 300.0
# how much longer an inference takes when the clock is held down, and from cold caches
THROTTLED = 1.25
COLD = 1.3
WAITED = 2.0

# the range of each numeric option, both ends included
RANGES: Mapping[str, tuple[float, float]] = {
    "seed": (-math.inf, math.inf),
    "noise": (0, 1),
    "run_noise": (0, 1),
    # a machine cannot become so fast that an inference takes no time
    "drift": (-0.5, 1),
    "throttle": (0, 1),
    "waiting": (0, 1),
    "delay_ms": (0, math.inf),
    "fault_rate": (0, 1),
    "trial_seconds": (0, math.inf),
    "build_seconds": (0, math.inf),
}
# the engine of the vendor's defaults
DEFAULTS: Mapping[str, Value] = {
    "precision": "fp32",
    "profile": "wide",
    "builder_optimization_level": 3,
    "max_aux_streams": 0,
}

# time of each choice relative to the first; the landscape's seed bends them by a few per cent
PRECISION = {"fp32": 1.0, "fp16": 0.55, "int8": 0.38}
PROFILE = {"wide": 1.0, "narrow": 0.85, "static": 0.7}
DELAYED_AUX_STREAMS = 4
ERROR = {"fp32": 1e-6, "fp16": 1.2e-3, "int8": 2.5e-2}
WRONG_ERROR = 0.5


@dataclass(frozen=True)
class Options:
    """What is written behind the backend's name."""

    seed: float = 0
    noise: float = 0.01
    run_noise: float = 0.0025
    drift: float = 0.0
    throttle: float = 0.0
    waiting: float = 0.0
    delay_ms: float = 0.0
    fault_rate: float = 0.0
    faults: str = FAULTS
    trial_seconds: float = 0.0
    build_seconds: float = 2.0
    inert: str = ""

    @property
    def inert_names(self) -> tuple[str, ...]:
        """Return the dimensions that make no difference."""
        return tuple(filter(None, str(self.inert).split("+")))


def read_options(options: Settings) -> Options:
    """Return the options; raises UserError for unknown names and values out of range."""
    known: dict[str, Any] = {of.name: of.default for of in fields(Options)}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"the backend fake has no option {unknown[0]!r}", f"Known: {', '.join(known)}.")
    for name, value in options.items():
        if name in RANGES:
            _check_number(name, value)
    found = Options(**{**known, **options})
    wrong = sorted(set(str(found.faults).split("+")) - {*BUILD_FAULTS, *RUN_FAULTS})
    if wrong:
        hint = f"Known: {'+'.join(BUILD_FAULTS + RUN_FAULTS)}."
        raise UserError(f"the backend fake has no fault {wrong[0]!r}", hint)
    strange = sorted(set(found.inert_names) - set(DEFAULTS))
    if strange:
        hint = f"Known: {'+'.join(DEFAULTS)}."
        raise UserError(f"the backend fake cannot make {strange[0]!r} inert", hint)
    return found


def _check_number(name: str, value: Value) -> None:
    """Raise UserError for a value that is not a number or out of range."""
    (least, most), hint = RANGES[name], f"Write {name}=0.5."
    if isinstance(value, bool | str) or not abs(value) < math.inf:
        raise UserError(f"{name} of the backend fake is a number, not {value!r}", hint)
    if not least <= value <= most:
        limits = f"from {least} to {most}" if most < math.inf else f"at least {least}"
        raise UserError(f"{name} of the backend fake is {limits}, not {value!r}", hint)


class FakeProbe:
    """The state of the simulated machine after the last block."""

    def __init__(self) -> None:
        self._seconds, self._throttled = 0.0, False

    def passed(self, seconds: float, *, throttled: bool) -> None:
        """Advance the simulated time by a block."""
        self._seconds += seconds
        self._throttled = throttled

    def read(self) -> Reading:
        return Reading(
            at=self._seconds,
            values={
                "clock_mhz": CLOCK_MHZ / (THROTTLED if self._throttled else 1.0),
                "temperature_c": 60.0,
                "power_w": POWER_W,
            },
            counters={"energy_mj": POWER_W * self._seconds * 1e3},
            throttled_by=("hw_thermal_slowdown",) if self._throttled else (),
        )


class FakeRunner:
    """Samples around the landscape's value, different with each `opening` of an engine; nothing waits."""

    device_memory_bytes = None

    def __init__(
        self,
        spec: Settings,
        options: Options = Options(),
        opening: int = 0,
        probe: FakeProbe | None = None,
        *,
        fault: str | None = None,
        keep_parts: bool = False,
    ) -> None:
        self.streams = int(spec["streams"])
        self._spec, self._options, self._fault, self._keep_parts = spec, options, fault, keep_parts
        self._probe = probe or FakeProbe()
        self._was_timed = False
        self._random = np.random.default_rng(int(digest("samples", options.seed, spec, opening), 16) % 2**63)
        luck = math.exp(self._random.normal(0.0, options.run_noise))
        self._latency_ms = latency_ms(spec, options) * luck * (1 + options.drift) ** opening
        if fault == "memory":
            self._exhaust_memory()

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        values = outputs_of(inputs)["output"].astype(np.float64)
        if self._fault == "nan":
            values[0] = math.nan
        is_wrong = self._fault == "wrong" or (self._fault == "late" and self._was_timed)
        error = WRONG_ERROR if is_wrong else ERROR[str(self._spec["precision"])]
        return {"output": (values + error * np.roll(values, 1)).astype(np.float32)}

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        self._was_timed = True
        throttled = self._random.random() < self._options.throttle
        typical = self._latency_ms * (COLD if cold else 1.0) * (THROTTLED if throttled else 1.0)
        latency = self._samples(typical, int(np.clip(seconds * 1e3 / typical, 1, MOST_SAMPLES)))
        streams = 1 if cold else self.streams
        span = max(seconds, float(latency.sum()) / 1e3 / streams)
        self._probe.passed(span, throttled=throttled)
        parts = {"compute_ms": latency} if self._keep_parts else {}
        return Block(latency_ms=latency, span_seconds=span, started_at=time.time(), parts=parts)

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def _samples(self, typical: float, count: int) -> Samples:
        noise = self._options.noise
        wander = self._random.normal(0.0, noise / 4)
        latency: Samples = typical * np.exp(wander + self._random.normal(0.0, noise, count))
        if self._options.waiting:
            latency[self._random.random(count) < self._options.waiting] *= WAITED
        return latency

    def _exhaust_memory(self) -> None:
        """Allocate real memory, then report what a full device reports."""
        held = np.ones(ALLOCATION_BYTES, dtype=np.uint8)
        raise EngineError(f"out of memory after {held.nbytes} bytes", kind="out_of_memory")


def latency_ms(spec: Settings, options: Options = Options()) -> float:
    """Return the true time of one inference: nearly multiplicative, with interactions that the seed
    decides.
    """
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
        unit("bend", options.seed, spec["model"], name, value)
        for name, value in spec.items()
        if name != "model"
    )
    delay = options.delay_ms if aux == DELAYED_AUX_STREAMS else 0.0
    return float(value * math.prod(1 + 0.06 * (bend - 0.5) for bend in bends) + launch + delay)


def outputs_of(inputs: Tensors) -> Tensors:
    """Return the simulated outputs: 64 numbers that depend on every byte of the inputs."""
    content = hashlib.sha256()
    for name in sorted(inputs):
        content.update(np.ascontiguousarray(inputs[name]).tobytes())
    random = np.random.default_rng(int.from_bytes(content.digest()[:8], "little"))
    return {"output": random.normal(size=64).astype(np.float32)}


def unit(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    return int(digest(*parts)[:13], 16) / 16**13
