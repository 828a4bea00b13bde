"""An engine on a GPU: as many lanes as streams, timed by CUDA events."""

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cuda.core import Device

from engines.backends.tensorrt.lane import TIMED, Lane, median_ms
from engines.errors import EngineError
from engines.values import Block, Tensors


@dataclass(frozen=True)
class LaneSettings:
    """How an engine is run: inferences at a time, as a CUDA graph or not, with copies timed or not."""

    streams: int
    cuda_graph: bool
    graph_fallback: bool
    transfers: bool
    device: int


@dataclass(frozen=True)
class Loaded:
    """An engine and what makes contexts of it; `release` is called when they are closed."""

    module: Any
    engine: Any
    create_context: Callable[[], Any]
    release: Callable[[], None]


def open_runner(loaded: Loaded, settings: LaneSettings, inputs: Tensors) -> "EngineRunner":
    """Lanes that have run once; raises EngineError, and leaves nothing on the device when it does."""
    device = Device(settings.device)
    device.set_current()
    free = free_bytes()
    lanes: list[Lane] = []
    try:
        for _ in range(settings.streams):
            lane = Lane(
                loaded.module, loaded.engine, loaded.create_context(), device, transfers=settings.transfers
            )
            lanes.append(lane)
            lane.bind(inputs)
            # the first run after a change of shapes compiles and allocates
            lane.run(inputs)
            if settings.cuda_graph:
                _capture(lane, fallback=settings.graph_fallback)
        return EngineRunner(lanes, device, loaded.release, max(0, free - free_bytes()))
    except BaseException:
        for lane in lanes:
            lane.close()
        raise


def _capture(lane: Lane, *, fallback: bool) -> None:
    try:
        lane.capture()
    except EngineError as error:
        if not fallback:
            raise
        sys.stderr.write(f"[W] launched without a CUDA graph: {error}\n")


def free_bytes() -> int:
    """Memory that is free on the current device."""
    from cuda.bindings import runtime

    _, free, _ = runtime.cudaMemGetInfo()
    return int(free)


class EngineRunner:
    """The lanes of one engine; `on_close` is called last."""

    def __init__(
        self, lanes: list[Lane], device: Device, on_close: Callable[[], None], held_bytes: int
    ) -> None:
        self.streams = len(lanes)
        self.device_memory_bytes = held_bytes
        self._lanes, self._device, self._on_close = lanes, device, on_close
        first = lanes[0]
        self._facts = {
            "cuda_graph": float(first.is_captured),
            "h2d_ms": median_ms(first.stream, device, first.upload),
            "d2h_ms": median_ms(first.stream, device, first.copy_outputs),
        }

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        return self._lanes[stream].run(inputs)

    def block(self, seconds: float) -> Block:
        started_at = time.time()
        base = self._begin()
        times: list[float] = []
        deadline = time.perf_counter() + seconds
        while True:
            for lane in self._lanes:
                lane.launch()
            times.extend(lane.collect() for lane in self._lanes if lane.waiting > 1)
            if time.perf_counter() >= deadline:
                break
        for lane in self._lanes:
            while lane.waiting:
                times.append(lane.collect())
        enqueue = np.concatenate([np.array(lane.enqueue_ns) for lane in self._lanes])
        return Block(
            latency_ms=np.array(times),
            span_seconds=max(lane.since(base) for lane in self._lanes) / 1e3,
            started_at=started_at,
            telemetry={"enqueue_ms": float(np.median(enqueue)) / 1e6, **self._facts},
        )

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        self._on_close()
        # contexts hold device memory until they are collected
        gc.collect()
        self._device.sync()

    def _begin(self) -> Any:
        """An event that every lane starts behind."""
        first = self._lanes[0].stream
        base = self._device.create_event(options=TIMED)
        first.record(base)
        for lane in self._lanes:
            lane.enqueue_ns.clear()
            if lane.stream is not first:
                lane.stream.wait(base)
        return base
