"""The seam between the search and a vendor's library: what a backend offers, and what runs an engine."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from engines.core.results import Block
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Tensors, Value, Workload
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe

Detail = Callable[[str], None]


class Runner(Protocol):
    """An engine that is loaded and ready to run under one run spec; closed by whoever opened it."""

    streams: int

    @property
    def device_memory_bytes(self) -> int | None:
        """Memory of the device that the loaded engine holds; None on a CPU."""

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        """The outputs, by name, computed in the launch mode that is measured; raises EngineError."""

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        """Runs on the inputs that the runner was opened with for about `seconds`, on all streams at once.

        `cold` flushes the caches of the device before each inference, outside of what is timed, and uses one
        stream only.
        """

    def close(self) -> None:
        """Gives back everything that the engine holds."""


class Backend(Protocol):
    """A vendor's library; made with its options and a folder for its caches, lives in a worker process.

    Methods raise UserError where the user must act and EngineError where only this candidate fails.
    """

    name: str

    def machine(self) -> Machine:
        """The machine that results belong to."""

    def shared(self) -> Shared:
        """The device that other tuners must leave alone while an engine is measured."""

    def warnings(self) -> tuple[str, ...]:
        """What may disturb measurements on this machine now, a line each."""

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        """The space for this workload; `concurrent` adds what raises throughput at the cost of latency."""

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        """The right outputs for each batch of inputs."""

    def graph_key(self, workload: Workload, settings: Settings) -> object:
        """What decides the graph's content beyond model and settings; None when the model itself is used."""

    def make_graph(
        self, workload: Workload, settings: Settings, file: Path, report: Detail
    ) -> Mapping[str, Value]:
        """Writes the ONNX graph derived from the model, telling how far it is; gives facts worth keeping."""

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        """What decides the engine's content beyond the graph and the build settings."""

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        """Writes the engine into an empty folder, telling how far it is; gives facts worth keeping."""

    def open(
        self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors, policy: Policy
    ) -> Runner:
        """Loads the engine from its folder, to be measured on the inputs as the policy says."""

    def probe(self) -> Probe:
        """Reads the state of the machine between blocks."""

    def clock(self) -> float:
        """Seconds since some beginning: what stages take is read off it, so a made-up machine has its own."""


@runtime_checkable
class Limited(Protocol):
    """What a backend also is that cannot measure all that may be asked for."""

    def check(self, workload: Workload, policy: Policy, metrics: Collection[str]) -> None:
        """Raises UserError for what it cannot serve; `metrics` are those of objectives and constraints."""
