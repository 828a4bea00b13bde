"""Run and time an ONNX Runtime session: one client thread per stream, each with its own bindings."""

import threading
import time
from typing import Any

import numpy as np
import onnxruntime as ort

from engines.core.errors import EngineError
from engines.core.results import Block
from engines.core.values import Tensors
from engines.machine import cpu
from engines.models.ort import one_line, translated


class SessionRunner:
    """A session with one client thread per stream, each with its own bound inputs and outputs."""

    device_memory_bytes = None

    def __init__(self, session: Any, streams: int, inputs: Tensors) -> None:
        self.streams = streams
        self._session = session
        self._names = [output.name for output in session.get_outputs()]
        self._bindings = [self._bind(inputs) for _ in range(streams)]
        self._flush: Flush | None = None

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        binding = self._bind(inputs)
        translated(lambda: self._session.run_with_iobinding(binding))
        return dict(zip(self._names, binding.copy_outputs_to_cpu(), strict=True))

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        """Inferences from a cold cache run one at a time: another stream's would warm it or be flushed."""
        bindings, flush = (self._bindings[:1], self._flushing()) if cold else (self._bindings, None)
        started_at = time.time()
        clients = [_Client(self._session, binding, flush) for binding in bindings]
        begin = time.perf_counter_ns()
        deadline = begin + int(seconds * 1e9)
        threads = [threading.Thread(target=client.run, args=(deadline,)) for client in clients[1:]]
        for thread in threads:
            thread.start()
        clients[0].run(deadline)
        for thread in threads:
            thread.join()
        for client in clients:
            if client.error is not None:
                raise EngineError(one_line(client.error)) from client.error
        stamps = np.concatenate(
            [np.array(client.stamps, dtype=np.int64).reshape(-1, 2) for client in clients]
        )
        stamps = stamps[np.argsort(stamps[:, 1], kind="stable")]
        return Block(
            latency_ms=(stamps[:, 1] - stamps[:, 0]) / 1e6,
            span_seconds=float(stamps[-1, 1] - begin) / 1e9,
            started_at=started_at,
        )

    def close(self) -> None:
        self._bindings.clear()
        self._session = self._flush = None

    def _flushing(self) -> "Flush":
        """Made when first needed, since it holds memory."""
        if self._flush is None:
            self._flush = Flush(cpu.last_level_cache_bytes())
        return self._flush

    def _bind(self, inputs: Tensors) -> Any:
        binding = self._session.io_binding()
        for tensor in self._session.get_inputs():
            binding.bind_ortvalue_input(tensor.name, ort.OrtValue.ortvalue_from_numpy(inputs[tensor.name]))
        for name in self._names:
            binding.bind_output(name)
        return binding


class Flush:
    """Empties the last-level cache: changing twice its size leaves nothing else in it.

    What other cores hold in caches of their own stays there.
    """

    def __init__(self, cache_bytes: int) -> None:
        self._memory = np.zeros(2 * cache_bytes, dtype=np.uint8)

    def __call__(self) -> None:
        np.add(self._memory, 1, out=self._memory)


class _Client:
    def __init__(self, session: Any, binding: Any, flush: Flush | None) -> None:
        self._run, self._binding, self._flush = session.run_with_iobinding, binding, flush
        self.stamps: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def run(self, deadline: int) -> None:
        run, binding, stamps, clock = self._run, self._binding, self.stamps, time.perf_counter_ns
        flush = self._flush
        try:
            while True:
                if flush is not None:
                    flush()
                start = clock()
                run(binding)
                end = clock()
                stamps.append((start, end))
                if end >= deadline:
                    return
        except Exception as error:  # handed to the thread that asked for the block
            self.error = error
