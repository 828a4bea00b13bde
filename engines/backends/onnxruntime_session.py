"""An ONNX Runtime session that is run and timed: one client thread a stream, each with its own bindings."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort

from engines import reference
from engines.errors import EngineError
from engines.values import Block, Tensors


class SessionRunner:
    """A session with one client thread a stream, each with its own bound inputs and outputs."""

    device_memory_bytes = None

    def __init__(self, session: Any, streams: int, inputs: Tensors) -> None:
        self.streams = streams
        self._session = session
        self._names = [output.name for output in session.get_outputs()]
        self._bindings = [self._bind(inputs) for _ in range(streams)]

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        binding = self._bind(inputs)
        translated(lambda: self._session.run_with_iobinding(binding))
        return dict(zip(self._names, binding.copy_outputs_to_cpu(), strict=True))

    def block(self, seconds: float) -> Block:
        started_at = time.time()
        clients = [_Client(self._session, binding) for binding in self._bindings]
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
                raise EngineError(reference.one_line(client.error)) from client.error
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
        self._session = None

    def _bind(self, inputs: Tensors) -> Any:
        binding = self._session.io_binding()
        for tensor in self._session.get_inputs():
            binding.bind_ortvalue_input(tensor.name, ort.OrtValue.ortvalue_from_numpy(inputs[tensor.name]))
        for name in self._names:
            binding.bind_output(name)
        return binding


class _Client:
    def __init__(self, session: Any, binding: Any) -> None:
        self._run, self._binding = session.run_with_iobinding, binding
        self.stamps: list[tuple[int, int]] = []
        self.error: Exception | None = None

    def run(self, deadline: int) -> None:
        run, binding, stamps, clock = self._run, self._binding, self.stamps, time.perf_counter_ns
        try:
            while True:
                start = clock()
                run(binding)
                end = clock()
                stamps.append((start, end))
                if end >= deadline:
                    return
        except Exception as error:  # handed to the thread that asked for the block
            self.error = error


def translated(call: Callable[[], Any]) -> Any:
    """What the call gives; ONNX Runtime's exceptions become EngineError."""
    try:
        return call()
    except (MemoryError, OSError):
        raise
    except Exception as error:
        text = reference.one_line(error)
        kind = "out_of_memory" if "bad_alloc" in text or "Failed to allocate memory" in text else "refused"
        raise EngineError(text, kind=kind) from error
