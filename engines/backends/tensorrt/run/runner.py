"""Run an engine on a GPU: a lane for each stream, timed by CUDA events."""

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda.core import Device
from numpy.typing import NDArray

from engines.backends.tensorrt.run.lane import TIMED, Lane, Parts, median_ms
from engines.core.errors import EngineError
from engines.core.results import Block
from engines.core.values import Policy, Shape, Tensors


@dataclass(frozen=True)
class LaneSettings:
    """How an engine is run: where, inferences at a time, as a CUDA graph or not."""

    streams: int
    cuda_graph: bool
    graph_fallback: bool
    device: int


@dataclass(frozen=True)
class Loaded:
    """An engine and what makes contexts of it; `release` is called when they are closed."""

    module: Any
    engine: Any
    create_context: Callable[[], Any]
    release: Callable[[], None]


def open_runner(loaded: Loaded, settings: LaneSettings, policy: Policy, inputs: Tensors) -> "EngineRunner":
    """Lanes that have run once; raises EngineError, and leaves nothing on the device when it does."""
    device = Device(settings.device)
    device.set_current()
    free = free_bytes()
    profile = profile_of(loaded.engine, {name: values.shape for name, values in inputs.items()})
    lanes: list[Lane] = []
    try:
        for _ in range(settings.streams):
            lane = Lane(
                loaded.module,
                loaded.engine,
                loaded.create_context(),
                device,
                profile=profile,
                transfers=policy.transfers,
                spin_wait=policy.spin_wait,
            )
            lanes.append(lane)
            lane.bind(inputs)
            # the first run after a change of shapes compiles and allocates
            lane.run(inputs)
            if settings.cuda_graph:
                _capture(lane, fallback=settings.graph_fallback)
        held = max(0, free - free_bytes())
        return EngineRunner(lanes, device, loaded.release, held, keep_parts=policy.parts)
    except BaseException:
        for lane in lanes:
            lane.close()
        raise


def profile_of(engine: Any, shapes: Mapping[str, Shape]) -> int:
    """The first optimization profile that takes the shapes; 0 where none does, whose refusal says why."""
    profiles = range(int(engine.num_optimization_profiles))
    if len(profiles) < 2:
        return 0
    fitting = (one for one in profiles if all(_takes(engine, name, one, of) for name, of in shapes.items()))
    return next(fitting, 0)


def _takes(engine: Any, name: str, profile: int, shape: Shape) -> bool:
    least, _, most = engine.get_tensor_profile_shape(name, profile)
    return all(low <= size <= high for low, size, high in zip(least, shape, most, strict=True))


def _capture(lane: Lane, *, fallback: bool) -> None:
    try:
        lane.capture()
    except EngineError as error:
        if not fallback:
            raise
        sys.stderr.write(f"[W] launched without a CUDA graph: {error}\n")


def free_bytes() -> int:
    """Return the bytes that are free on the current device."""
    from cuda.bindings import runtime

    _, free, _ = runtime.cudaMemGetInfo()
    return int(free)


class Flush:
    """Empties the L2 cache: a write of twice its size leaves nothing else in it."""

    def __init__(self, device: Device, stream: Any) -> None:
        self._buffer = device.allocate(2 * int(device.properties.l2_cache_size), stream=stream)

    def __call__(self, stream: Any) -> None:
        self._buffer.fill(0, stream=stream)

    def close(self, stream: Any) -> None:
        self._buffer.close(stream)


class EngineRunner:
    """The lanes of one engine; `on_close` is called last, `keep_parts` keeps what each latency is made of."""

    def __init__(
        self,
        lanes: list[Lane],
        device: Device,
        on_close: Callable[[], None],
        held_bytes: int,
        *,
        keep_parts: bool,
    ) -> None:
        self.streams = len(lanes)
        self.device_memory_bytes = held_bytes
        self._lanes, self._device, self._on_close, self._keep_parts = lanes, device, on_close, keep_parts
        self._flush: Flush | None = None
        first = lanes[0]
        self._facts = {
            "cuda_graph": float(first.is_captured),
            "h2d_ms": median_ms(first.stream, device, first.upload),
            "d2h_ms": median_ms(first.stream, device, first.download),
        }

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        return self._lanes[stream].run(inputs)

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        """Inferences from a cold cache run one at a time: another stream's would warm it or be flushed."""
        lanes, flush = (self._lanes[:1], self._flushing()) if cold else (self._lanes, None)
        started_at = time.time()
        self._begin(lanes)
        found: list[Parts] = []
        deadline = time.perf_counter() + seconds
        while True:
            for lane in lanes:
                lane.launch(flush)
            found.extend(lane.collect() for lane in lanes if lane.waiting > 1)
            if time.perf_counter() >= deadline:
                break
        for lane in lanes:
            while lane.waiting:
                found.append(lane.collect())
        starts = [lane.started_ms for lane in lanes if lane.started_ms is not None]
        span_ms = max(lane.ended_ms for lane in lanes) - min(starts)
        return self._block(np.array(found), span_ms, started_at)

    def close(self) -> None:
        if self._flush is not None:
            self._flush.close(self._lanes[0].stream)
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        self._on_close()
        # contexts hold device memory until they are collected
        gc.collect()
        self._device.sync()

    def _block(self, found: NDArray[np.float64], span_ms: float, started_at: float) -> Block:
        enqueue, *timed = found.T
        parts = dict(zip(Parts._fields, map(np.ascontiguousarray, found.T), strict=True))
        return Block(
            latency_ms=np.sum(timed, axis=0),
            span_seconds=span_ms / 1e3,
            started_at=started_at,
            telemetry={"enqueue_ms": float(np.median(enqueue)), **self._facts},
            parts=parts if self._keep_parts else {},
        )

    def _flushing(self) -> Flush:
        """Made when first needed, since it holds device memory."""
        if self._flush is None:
            self._flush = Flush(self._device, self._lanes[0].stream)
        return self._flush

    def _begin(self, lanes: list[Lane]) -> None:
        """An event that every lane starts behind."""
        base = self._device.create_event(options=TIMED)
        lanes[0].stream.record(base)
        for lane in lanes:
            lane.begin(base)
