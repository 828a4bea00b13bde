"""Stand-ins for what the code uses of cuda.core, the CUDA runtime and NVML, on a machine without a driver.

Each is held against the real class or function: a stand-in cannot have or take what the real one does not.
"""

import ctypes
import inspect
from types import SimpleNamespace
from typing import Any

import cuda.core
import cuda.core.graph
import pynvml
from cuda.bindings import runtime

GIB = 1 << 30


class Event:
    """Each recording of an event is a quarter of a millisecond after the one before."""

    recordings = 0

    def __init__(self, options: Any = None) -> None:
        assert options is not None
        assert options.timing_enabled, "an event without timing cannot be subtracted"
        self.recorded: int | None = None

    def sync(self) -> None:
        """All work is done at once."""

    def __sub__(self, other: "Event") -> float:
        assert self.recorded is not None
        assert other.recorded is not None
        return 0.25 * (self.recorded - other.recorded)


class Graph:
    def launch(self, stream: Any) -> None:
        assert isinstance(stream, Stream)

    def upload(self, stream: Any) -> None:
        assert isinstance(stream, Stream)

    def close(self) -> None:
        """Nothing is held."""


class GraphBuilder:
    stream: Any

    def __init__(self) -> None:
        self.stream = Stream()

    def begin_building(self, mode: str = "relaxed") -> "GraphBuilder":
        assert mode in ("global", "thread_local", "relaxed")
        return self

    def end_building(self) -> "GraphBuilder":
        return self

    def complete(self, options: Any = None) -> Graph:
        return Graph()


class Stream:
    handle = 4096

    def sync(self) -> None:
        """All work is done at once."""

    def record(self, event: Any = None, options: Any = None) -> Event:
        assert isinstance(event, Event)
        Event.recordings += 1
        event.recorded = Event.recordings
        return event

    def wait(self, event_or_stream: Any) -> None:
        assert isinstance(event_or_stream, Event | Stream)
        assert not isinstance(event_or_stream, Event) or event_or_stream.recorded, "waits for nothing"

    def create_graph_builder(self) -> GraphBuilder:
        return GraphBuilder()

    def close(self) -> None:
        """Nothing is held."""


class Buffer:
    """In host memory; `open_buffers` counts those that were not given back."""

    open_buffers = 0
    handle: int

    def __init__(self, size: int) -> None:
        self._memory = (ctypes.c_byte * size)()
        self.handle = ctypes.addressof(self._memory)
        self._size = size
        Buffer.open_buffers += 1

    def copy_from(self, src: Any, *, stream: Any, options: Any = None) -> None:
        assert src._size == self._size
        ctypes.memmove(self.handle, src.handle, self._size)

    def copy_to(self, dst: Any = None, *, stream: Any, options: Any = None) -> "Buffer":
        dst.copy_from(self, stream=stream)
        return self

    def fill(self, value: Any, *, stream: Any) -> None:
        ctypes.memset(self.handle, value, self._size)

    def close(self, stream: Any = None) -> None:
        Buffer.open_buffers -= 1


class LegacyPinnedMemoryResource:
    def allocate(self, size: int, *, stream: Any = None) -> Buffer:
        return Buffer(size)


class Device:
    properties = SimpleNamespace(multiprocessor_count=132, l2_cache_size=1 << 16)
    compute_capability = (9, 0)

    def __init__(self, device_id: int | None = None) -> None:
        assert device_id in (None, 0)

    def set_current(self, ctx: Any = None) -> None:
        """There is one."""

    def create_stream(self, obj: Any = None, options: Any = None) -> Stream:
        return Stream()

    def create_event(self, options: Any = None) -> Event:
        return Event(options)

    def allocate(self, size: int, *, stream: Any) -> Buffer:
        return Buffer(size)

    def sync(self) -> None:
        """All work is done at once."""


def _field(value: int) -> SimpleNamespace:
    return SimpleNamespace(nvmlReturn=pynvml.NVML_SUCCESS, value=SimpleNamespace(uiVal=value))


NVML = {
    "nvmlInit": lambda: None,
    "nvmlDeviceGetCount": lambda: 1,
    "nvmlDeviceGetHandleByPciBusId": lambda pciBusId: "handle",  # noqa: N803 - its name
    "nvmlDeviceGetName": lambda handle: "NVIDIA Test GPU",
    "nvmlDeviceGetIndex": lambda handle: 0,
    "nvmlDeviceGetUUID": lambda handle: "GPU-1a2b",
    "nvmlDeviceGetMemoryInfo": lambda handle, version=None: SimpleNamespace(total=80 * GIB),
    "nvmlSystemGetDriverVersion": lambda: "580.95.05",
    "nvmlSystemGetCudaDriverVersion": lambda: 13000,
    "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
    "nvmlDeviceGetMaxClockInfo": lambda handle, type: 1980,  # noqa: A006 - its name
    "nvmlDeviceGetMigMode": lambda device: [0, 0],
    "nvmlDeviceGetComputeRunningProcesses": lambda handle: [],
    "nvmlDeviceGetClockInfo": lambda handle, type: 1755,  # noqa: A006 - its name
    "nvmlDeviceGetTemperature": lambda handle, sensor: 41,
    "nvmlDeviceGetFieldValues": lambda handle, fieldIds: [_field(310_000) for _ in fieldIds],  # noqa: N803
    "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: 0x4,
}
CLASSES = {
    Device: cuda.core.Device,
    Stream: cuda.core.Stream,
    Event: cuda.core.Event,
    Buffer: cuda.core.Buffer,
    LegacyPinnedMemoryResource: cuda.core.LegacyPinnedMemoryResource,
    GraphBuilder: cuda.core.graph.GraphBuilder,
    Graph: cuda.core.graph.Graph,
}


def install() -> None:
    """Puts the stand-ins in the place of the real ones, for this process; before anything imports those."""
    for standin, real in CLASSES.items():
        _check_class(standin, real)
    cuda.core.Device = Device
    cuda.core.LegacyPinnedMemoryResource = LegacyPinnedMemoryResource
    success = runtime.cudaError_t.cudaSuccess
    answers = {
        "cudaGetDeviceCount": lambda: (success, 1),
        "cudaDeviceGetPCIBusId": lambda length, device: (success, b"0000:00:00.0\0"),
        "cudaMemGetInfo": lambda: (success, 79 * GIB, 80 * GIB),
    }
    for name, function in answers.items():
        assert callable(getattr(runtime, name))
        setattr(runtime, name, function)
    for name, function in NVML.items():
        assert _kinds(function) == _kinds(getattr(pynvml, name)), name
        setattr(pynvml, name, function)


def _check_class(standin: type, real: type) -> None:
    for name, member in vars(standin).items():
        if name.startswith("_") or name in ("open_buffers", "recordings"):
            continue
        assert hasattr(real, name), f"{real.__name__} has no {name}"
        if inspect.isfunction(member):
            assert _kinds(member) == _kinds(getattr(real, name)), f"{real.__name__}.{name}"


def _kinds(function: Any) -> dict[str, Any]:
    """The parameters by name, each with how it may be passed: whoever may call one may call the other."""
    return {name: of.kind for name, of in inspect.signature(function).parameters.items()}
