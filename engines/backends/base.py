"""The seam between the search and a vendor's library: what a backend offers, and what runs an engine.

A backend is the sum of small roles. What only some can do are runtime-checkable roles of their own, asked for
with `isinstance` in the worker; what the owner must know without loading a vendor is in the table
`engines.backends.registry.BACKENDS`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from engines.core.results import Block
from engines.core.values import (
    Candidate,
    Dimension,
    Machine,
    Policy,
    Settings,
    ShapeRange,
    TensorFacts,
    Tensors,
    Value,
    Workload,
)
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe

Detail = Callable[[str], None]


class Runner(Protocol):
    """An engine that is loaded and ready to run under one run spec; closed by whoever opened it."""

    streams: int

    @property
    def device_memory_bytes(self) -> int | None:
        """The bytes of device memory that the loaded engine holds; None on a CPU."""

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        """Return the outputs by name, computed in the launch mode that is measured; raises EngineError."""

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        """Runs on the inputs that the runner was opened with for about `seconds`, on all streams at once.

        `cold` flushes the caches of the device before each inference, outside of what is timed, and uses one
        stream only.
        """

    def close(self) -> None:
        """Release everything that the engine holds."""


class DeviceAccess(Protocol):
    """The device that engines are measured on, and the machine that it is part of."""

    def machine(self) -> Machine:
        """Return the machine that results belong to."""

    def device(self) -> Device:
        """Return the device of that machine that engines run on."""

    def shared(self) -> Shared:
        """Return the device that is locked against other tuners while an engine is measured."""

    def warnings(self) -> tuple[str, ...]:
        """Return what may disturb measurements on this machine now, a line each."""

    def probe(self) -> Probe:
        """Return the probe that reads the machine between blocks."""

    def clock(self) -> float:
        """Return seconds of the clock that times stages; a simulated machine has its own."""


class Space(Protocol):
    """The dimensions of the search space."""

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        """Return the space for this workload; `concurrent` adds what raises throughput at the cost of
        latency.
        """


class GraphMaker(Protocol):
    """Derives graphs from the model of one workload."""

    def key(self, settings: Settings) -> object:
        """Return what identifies the graph besides model and settings; None if the model itself is used."""

    def make(self, settings: Settings, file: Path, report: Detail) -> Mapping[str, Value]:
        """Write the ONNX graph derived from the model and report progress; returns facts to be stored."""


class Builder(Protocol):
    """Makes engines of graphs."""

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        """Return what identifies the engine besides the graph and the build settings."""

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        """Write the engine into an empty folder and report progress; returns facts to be stored."""


class Loader(Protocol):
    """Loads engines."""

    def open(
        self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors, policy: Policy
    ) -> Runner:
        """Load the engine from its folder, to be measured on the inputs as the policy says."""


class Backend(DeviceAccess, Space, Builder, Loader, Protocol):
    """A vendor's library; made with its options and a folder for its caches, lives in a worker process.

    Methods raise UserError where the user must act and EngineError where only this candidate fails.
    """

    name: str

    def graphs(self, workload: Workload) -> GraphMaker:
        """Return the maker of a workload's graphs: `engines.graphs.recipe.GraphRecipe` for real backends."""


@runtime_checkable
class Limited(Protocol):
    """The role of a backend that cannot serve every request."""

    def check(self, workload: Workload, policy: Policy, metrics: Collection[str]) -> None:
        """Raise UserError for what it cannot serve; `metrics` are those of objectives and constraints."""


@runtime_checkable
class MakesReference(Protocol):
    """The role of a backend that does not run the model, so that ONNX Runtime cannot be the reference."""

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        """Return the reference outputs for each batch of inputs."""


@dataclass(frozen=True)
class DescribedFile:
    """A file that a backend runs by itself: what it takes and gives, as it says itself, and what loads it.

    `limits` are the shapes that it takes, by input; empty where it takes any that fit.
    """

    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    limits: Mapping[str, ShapeRange]
    open: Callable[[Workload, Tensors, Policy], Runner]


@runtime_checkable
class Describes(Protocol):
    """The role of a backend that runs engine files; its entry in the table lists their suffixes."""

    def describe(self, file: Path, settings: Settings) -> DescribedFile:
        """What the file says of itself, to be run with the settings; raises EngineError if refused."""
