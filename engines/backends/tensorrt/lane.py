"""Inferences on one CUDA stream: a context, its buffers on the device and in pinned host memory.

Launching and collecting are apart, so that one inference waits on the stream while another runs and the GPU
is never idle, as trtexec does it.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from cuda.core import Device, EventOptions, LegacyPinnedMemoryResource, StreamOptions
from numpy.typing import NDArray

from engines.dtypes import numpy_dtype
from engines.errors import EngineError
from engines.values import Tensors

# TensorRT's names of types in numpy's
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "FP8": "float8_e4m3fn",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}
TIMED = EventOptions(timing_enabled=True)
SLOTS = 2


class Tensor:
    """An input or output of an engine at its shape, on both sides."""

    def __init__(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], device: Device, stream: Any
    ) -> None:
        self.name = name
        size = max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        self.device = device.allocate(size, stream=stream)
        self.pinned = LegacyPinnedMemoryResource().allocate(size)
        memory = (ctypes.c_byte * size).from_address(int(self.pinned.handle))
        used = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.host: NDArray[Any] = (
            np.ctypeslib.as_array(memory).view(np.uint8)[:used].view(dtype).reshape(shape)
        )

    def close(self, stream: Any) -> None:
        self.device.close(stream)
        self.pinned.close()


class Lane:
    """A context on a stream of its own, ready to be launched at the shapes of the inputs."""

    def __init__(
        self, module: Any, engine: Any, context: Any, device: Device, *, transfers: bool = False
    ) -> None:
        self._module, self._engine, self._context, self._device = module, engine, context, device
        self.stream = device.create_stream(options=StreamOptions(nonblocking=True))
        self._tensors: dict[str, Tensor] = {}
        self._graph: Any = None
        self._transfers = transfers
        self._starts = [device.create_event(options=TIMED) for _ in range(SLOTS)]
        self._ends = [device.create_event(options=TIMED) for _ in range(SLOTS)]
        self._launched = self._collected = 0
        self.enqueue_ns: list[int] = []
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = {name: engine.get_tensor_mode(name) == module.TensorIOMode.INPUT for name in names}
        self.inputs = [name for name in names if is_input[name]]
        self.outputs = [name for name in names if not is_input[name]]

    def bind(self, inputs: Tensors) -> None:
        """Sets the shapes of the inputs, and gives every tensor its memory."""
        for name in self.inputs:
            taken = self._context.set_input_shape(name, inputs[name].shape)
            _require(taken, f"the shape of input {name!r}")
        for name in (*self.inputs, *self.outputs):
            self._bind(name)

    def run(self, inputs: Tensors) -> Tensors:
        """Copies the inputs, runs in the launch mode that is timed, copies the outputs."""
        self.copy_inputs(inputs)
        self._launch()
        self.copy_outputs()
        self.stream.sync()
        return {name: self._tensors[name].host.copy() for name in self.outputs}

    def copy_inputs(self, inputs: Tensors) -> None:
        for name in self.inputs:
            tensor = self._tensors[name]
            tensor.host[...] = inputs[name]
        self.upload()

    def upload(self) -> None:
        for name in self.inputs:
            self._tensors[name].device.copy_from(self._tensors[name].pinned, stream=self.stream)

    def copy_outputs(self) -> None:
        for name in self.outputs:
            self._tensors[name].device.copy_to(self._tensors[name].pinned, stream=self.stream)

    def launch(self) -> None:
        """Puts one timed inference on the stream; with transfers, both copies are part of it."""
        slot = self._launched % SLOTS
        self.stream.record(self._starts[slot])
        if self._transfers:
            self.upload()
        begin = time.perf_counter_ns()
        self._launch()
        self.enqueue_ns.append(time.perf_counter_ns() - begin)
        if self._transfers:
            self.copy_outputs()
        self.stream.record(self._ends[slot])
        self._launched += 1

    @property
    def waiting(self) -> int:
        """Inferences launched and not collected; never more than two."""
        return self._launched - self._collected

    def collect(self) -> float:
        """Waits for the oldest inference; its time in milliseconds."""
        slot = self._collected % SLOTS
        self._collected += 1
        self._ends[slot].sync()
        return float(self._ends[slot] - self._starts[slot])

    def since(self, base: Any) -> float:
        """Milliseconds from an event to the end of the last inference collected."""
        return float(self._ends[(self._collected - 1) % SLOTS] - base)

    @property
    def is_captured(self) -> bool:
        return self._graph is not None

    def capture(self) -> None:
        """Records the launch as a CUDA graph; raises EngineError when it cannot be."""
        self._enqueue(self.stream)  # deferred work after a change of shapes would break the capture
        self.stream.sync()
        try:
            self._graph = self._captured()
        except EngineError:
            raise
        except Exception as error:  # cuda.core's own, of which it promises no name
            raise EngineError(f"CUDA graph: {error}") from error
        self._graph.upload(self.stream)
        self.stream.sync()

    def _captured(self) -> Any:
        builder = self.stream.create_graph_builder()
        # other threads of the process may go on calling CUDA meanwhile
        builder.begin_building(mode="thread_local")
        try:
            taken = self._context.execute_async_v3(int(builder.stream.handle))
        finally:
            builder.end_building()
        if not taken:
            raise EngineError("CUDA graph: the context refused to be captured")
        return builder.complete()

    def close(self) -> None:
        self.stream.sync()
        if self._graph is not None:
            self._graph.close()
        for tensor in self._tensors.values():
            tensor.close(self.stream)
        self.stream.sync()
        self._context = self._engine = None
        self.stream.close()

    def _launch(self) -> None:
        if self._graph is not None:
            self._graph.launch(self.stream)
        else:
            self._enqueue(self.stream)

    def _enqueue(self, stream: Any) -> None:
        if not self._context.execute_async_v3(int(stream.handle)):
            raise EngineError("the context refused to run")

    def _bind(self, name: str) -> None:
        module, engine = self._module, self._engine
        shape = tuple(self._context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise EngineError(f"the shape of output {name!r} depends on the data, which is not supported yet")
        dtype = numpy_dtype(DTYPES[engine.get_tensor_dtype(name).name])
        tensor = Tensor(name, shape, dtype, self._device, self.stream)
        self._tensors[name] = tensor
        on_host = engine.get_tensor_location(name) == module.TensorLocation.HOST
        address = int((tensor.pinned if on_host else tensor.device).handle)
        _require(self._context.set_tensor_address(name, address), f"the address of {name!r}")


def median_ms(stream: Any, device: Device, work: Callable[[], None], times: int = 7) -> float:
    """The median time of work on a stream, in milliseconds."""
    start, end = device.create_event(options=TIMED), device.create_event(options=TIMED)
    found = []
    for _ in range(times):
        stream.record(start)
        work()
        stream.record(end)
        end.sync()
        found.append(end - start)
    return float(np.median(found))


def _require(taken: bool, what: str) -> None:
    if not taken:
        raise EngineError(f"the context refused {what}")
