"""Run inferences on CUDA streams: a context, its buffers on the device and in pinned host memory.

Launching and collecting are apart, so that one inference waits while another runs and the GPU is never idle,
as trtexec does it (sampleInference.cpp). Where copies are timed, they have streams of their own, so that they
overlap the inferences before and after. They share the buffers, which hold the same bytes each time.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from cuda.core import Device, EventOptions, LegacyPinnedMemoryResource, StreamOptions
from numpy.typing import NDArray

from engines.core.errors import EngineError
from engines.core.values import Tensors
from engines.data.dtypes import numpy_dtype

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

# work to put on a stream
Work = Callable[[Any], None]


class Parts(NamedTuple):
    """What one inference took: the host to launch it, and the device for its parts.

    Its latency is the sum of the device's, as trtexec has it; waiting between the parts is left out.
    """

    enqueue_ms: float
    h2d_ms: float
    compute_ms: float
    d2h_ms: float


class Span:
    """A pair of events around work on a stream."""

    def __init__(self, device: Device, stream: Any, options: EventOptions) -> None:
        self.stream = stream
        self.start, self.end = device.create_event(options=options), device.create_event(options=options)

    def around(self, work: Work) -> None:
        self.stream.record(self.start)
        work(self.stream)
        self.stream.record(self.end)

    @property
    def ms(self) -> float:
        return float(self.end - self.start)


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


class Slot:
    """The events of an inference in flight; `copies` are those before and after, where they are timed."""

    def __init__(self, compute: Span, copies: tuple[Span, Span] | None) -> None:
        self.compute, self.copies = compute, copies
        self.enqueue_ns = 0

    @property
    def start(self) -> Any:
        return (self.copies[0] if self.copies else self.compute).start

    @property
    def end(self) -> Any:
        return (self.copies[1] if self.copies else self.compute).end

    def parts(self) -> Parts:
        h2d, d2h = (self.copies[0].ms, self.copies[1].ms) if self.copies else (0.0, 0.0)
        return Parts(self.enqueue_ns / 1e6, h2d, self.compute.ms, d2h)


class Lane:
    """A context with its streams, ready to be launched at the shapes of the inputs in a profile.

    `transfers` times the copies of inputs and outputs too, `spin_wait` keeps the host awake while it waits.
    """

    def __init__(
        self,
        module: Any,
        engine: Any,
        context: Any,
        device: Device,
        *,
        profile: int = 0,
        transfers: bool = False,
        spin_wait: bool = True,
    ) -> None:
        self._module, self._engine, self._context, self._device = module, engine, context, device
        self._streams = [
            device.create_stream(options=StreamOptions(nonblocking=True))
            for _ in range(3 if transfers else 1)
        ]
        self.stream = self._streams[0]
        self._profile = profile
        self._tensors: dict[str, Tensor] = {}
        self._graph: Any = None
        self._slots = [self._slot(spin_wait=spin_wait) for _ in range(SLOTS)]
        self._launched = self._collected = 0
        self._base: Any = None
        self.started_ms: float | None = None
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        is_input = {name: engine.get_tensor_mode(name) == module.TensorIOMode.INPUT for name in names}
        self.inputs = [name for name in names if is_input[name]]
        self.outputs = [name for name in names if not is_input[name]]

    def _slot(self, *, spin_wait: bool) -> Slot:
        options = EventOptions(timing_enabled=True, blocking_sync=not spin_wait)
        compute, *copies = (Span(self._device, stream, options) for stream in self._streams)
        return Slot(compute, (copies[0], copies[1]) if copies else None)

    def bind(self, inputs: Tensors) -> None:
        """Sets profile and shapes of the inputs, and gives every tensor its memory."""
        if self._profile:  # the first is what a context has from the beginning
            taken = self._context.set_optimization_profile_async(self._profile, int(self.stream.handle))
            _require(taken, f"the optimization profile {self._profile}")
        for name in self.inputs:
            taken = self._context.set_input_shape(name, inputs[name].shape)
            _require(taken, f"the shape of input {name!r}")
        for name in (*self.inputs, *self.outputs):
            self._bind(name)

    def run(self, inputs: Tensors) -> Tensors:
        """Copies the inputs, runs in the launch mode that is timed, copies the outputs."""
        self.copy_inputs(inputs)
        self._launch()
        self.download(self.stream)
        self.stream.sync()
        return {name: self._tensors[name].host.copy() for name in self.outputs}

    def copy_inputs(self, inputs: Tensors) -> None:
        for name in self.inputs:
            tensor = self._tensors[name]
            tensor.host[...] = inputs[name]
        self.upload(self.stream)

    def upload(self, stream: Any) -> None:
        for name in self.inputs:
            self._tensors[name].device.copy_from(self._tensors[name].pinned, stream=stream)

    def download(self, stream: Any) -> None:
        for name in self.outputs:
            self._tensors[name].device.copy_to(self._tensors[name].pinned, stream=stream)

    def begin(self, base: Any) -> None:
        """Starts a block behind an event, from which the block's times count."""
        self._base, self.started_ms = base, None
        for stream in self._streams:
            stream.wait(base)

    def launch(self, before: Work | None = None) -> None:
        """Puts one timed inference on the streams; `before` is done right before it and not timed."""
        slot = self._slots[self._launched % SLOTS]
        if slot.copies:
            slot.copies[0].around(self.upload)
            self.stream.wait(slot.copies[0].end)
        if before:
            before(self.stream)
        self.stream.record(slot.compute.start)
        begin = time.perf_counter_ns()
        self._launch()
        slot.enqueue_ns = time.perf_counter_ns() - begin
        self.stream.record(slot.compute.end)
        if slot.copies:
            slot.copies[1].stream.wait(slot.compute.end)
            slot.copies[1].around(self.download)
        self._launched += 1

    @property
    def waiting(self) -> int:
        """Inferences launched and not collected; never more than two."""
        return self._launched - self._collected

    def collect(self) -> Parts:
        """Waits for the oldest inference."""
        slot = self._slots[self._collected % SLOTS]
        self._collected += 1
        slot.end.sync()
        if self.started_ms is None:
            self.started_ms = float(slot.start - self._base)
        return slot.parts()

    @property
    def ended_ms(self) -> float:
        """When the last inference collected ended, counted from the block's event like `started_ms`."""
        return float(self._slots[(self._collected - 1) % SLOTS].end - self._base)

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
        for stream in self._streams:
            stream.sync()
        if self._graph is not None:
            self._graph.close()
        for tensor in self._tensors.values():
            tensor.close(self.stream)
        self.stream.sync()
        self._context = self._engine = None
        for stream in self._streams:
            stream.close()

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


def median_ms(stream: Any, device: Device, work: Work, times: int = 7) -> float:
    """The median time of work on a stream, in milliseconds."""
    span = Span(device, stream, TIMED)
    found = []
    for _ in range(times):
        span.around(work)
        span.end.sync()
        found.append(span.ms)
    return float(np.median(found))


def _require(taken: bool, what: str) -> None:
    if not taken:
        raise EngineError(f"the context refused {what}")
