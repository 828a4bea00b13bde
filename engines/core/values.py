"""The request: frozen data that crosses process borders as JSON (see `engines.core.wire`).

A candidate's settings are names and plain values, never a vendor's objects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Value = bool | int | float | str
Shape = tuple[int, ...]
Samples = NDArray[np.float64]
Tensors = dict[str, NDArray[np.generic]]


def text_of(value: Value) -> str:
    """Return a setting as a user writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


DimensionKind = Literal["graph", "build", "run"]
Stage = Literal["prepare", "graph", "wait", "build", "load", "check", "warm-up", "measure"]


class Settings(Mapping[str, Value]):
    """Named values of one kind of dimension; immutable, hashable, in the order of their names."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Value] | None = None, **more: Value) -> None:
        self._items = dict(sorted({**(items or {}), **more}.items()))

    def __getitem__(self, name: str) -> Value:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._items == dict(other)

    def __repr__(self) -> str:
        return f"Settings({self._items!r})"


NOTHING = Settings()


@dataclass(frozen=True)
class TensorFacts:
    """An input or output; `dtype` is numpy's name, a dynamic dimension is its symbolic name or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True)
class FileRef:
    """A file or folder by the sha256 of its content, and its name.

    `where` is the path that it was last seen at, which may be gone or hold something else by now: it is no
    part of what the file is (see `engines.models.located`).
    """

    digest: str
    name: str
    where: str = field(default="", compare=False)

    @property
    def path(self) -> Path:
        """The path that it was last seen at."""
        return Path(self.where)


@dataclass(frozen=True)
class ModelFacts:
    """The ONNX file as given; external weights are part of its content.

    `index_limits` gives for integer inputs that index a table the number of its rows; `operators` counts
    the nodes of each operator type, subgraphs included.
    """

    file: FileRef
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    opset: int
    operators: Mapping[str, int]
    parameters: int
    weight_bytes: int
    index_limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The sha256 of the file, external weights included."""
        return self.file.digest


@dataclass(frozen=True)
class ShapeRange:
    """The shapes of one input: minimum, optimum and maximum of an optimization profile."""

    minimum: Shape
    optimum: Shape
    maximum: Shape


@dataclass(frozen=True)
class Profile:
    """One optimization profile: the range of each input."""

    ranges: Mapping[str, ShapeRange]


@dataclass(frozen=True)
class Case:
    """Shapes that are measured: `batch` is the number of samples in one inference, and `weight` how many of
    all requests have these shapes, as a share or a count.
    """

    shapes: Mapping[str, Shape]
    batch: int = 1
    weight: float = 1.0


@dataclass(frozen=True)
class ShapePlan:
    """The profiles that an engine is built for and the cases that are measured; at least one of each."""

    profiles: tuple[Profile, ...]
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        if not self.profiles or not self.cases:
            raise ValueError("a shape plan has at least one profile and one case")

    @property
    def ranges(self) -> dict[str, ShapeRange]:
        """The range of each input over all profiles; its optimum is that of the first."""
        first, *others = self.profiles
        found = dict(first.ranges)
        for profile in others:
            found = {name: _widened(of, profile.ranges[name]) for name, of in found.items()}
        return found

    @property
    def batch(self) -> int:
        """Samples in one inference of the first case."""
        return self.cases[0].batch


def _widened(one: ShapeRange, other: ShapeRange) -> ShapeRange:
    return ShapeRange(
        tuple(map(min, one.minimum, other.minimum)), one.optimum, tuple(map(max, one.maximum, other.maximum))
    )


@dataclass(frozen=True)
class InputSource:
    """Where sample data comes from: a file or folder of arrays, a function of the user's, or a seed.

    `function` is MODULE:FUNCTION: `file` is then the file that it is written in, last seen from the folder
    `file.where`. With a seed alone the data is random.
    """

    seed: int = 0
    file: FileRef | None = None
    function: str | None = None

    @property
    def is_random(self) -> bool:
        return self.file is None

    @property
    def digest(self) -> str | None:
        """The sha256 of the data, or of the file that the function is written in; None for random data."""
        return self.file.digest if self.file is not None else None


@dataclass(frozen=True)
class TaskMetric:
    """The user's own metric of outputs: MODULE:FUNCTION, and which direction is better.

    `file` is the file that the function is written in, last seen from the folder `file.where`.
    """

    name: str
    function: str
    better: Literal["minimize", "maximize"]
    file: FileRef


@dataclass(frozen=True)
class Workload:
    """What is measured: a model, the shapes of a plan, inputs, and the reference for its outputs.

    `batched_inputs` names the inputs whose first dimension is the batch (none if the model fixes it).
    `calibration` is the data that ranges are taken from (None for the inputs themselves), `expected` the
    reference outputs (None to compute them with the model). `keep_fp32` are patterns of nodes that always
    stay in FP32, by name or operator; `override_shapes` are inputs made static in every graph.
    """

    model: ModelFacts
    plan: ShapePlan
    batched_inputs: tuple[str, ...]
    inputs: InputSource
    calibration: InputSource | None = None
    expected: InputSource | None = None
    metrics: tuple[TaskMetric, ...] = ()
    keep_fp32: tuple[str, ...] = ()
    override_shapes: Mapping[str, Shape] = field(default_factory=dict)


DeviceKind = Literal["cpu", "gpu", "simulated"]


@dataclass(frozen=True)
class Machine:
    """The machine that a result belongs to: the processor, its driver, and the versions of the libraries."""

    kind: DeviceKind
    processor: str
    cores: int
    memory_bytes: int
    system: str
    driver: str | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Dimension:
    """One axis of the search space: its choices and its default.

    `excluded` gives the reason for each choice that this machine or model cannot use. `fixable` are values
    that are not searched but may be fixed, and with `any_integer` so may any integer. `applies_to` names
    another dimension and those of its values for which this one is active; for others it has its default.
    """

    name: str
    kind: DimensionKind
    choices: tuple[Value, ...]
    default: Value
    about: str
    excluded: Mapping[str, str] = field(default_factory=dict)
    fixable: tuple[Value, ...] = ()
    any_integer: bool = False
    applies_to: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Candidate:
    """One point of the space: the settings of the graph, of the builder, and of the run."""

    graph: Settings = NOTHING
    build: Settings = NOTHING
    run: Settings = NOTHING

    @property
    def settings(self) -> dict[str, Value]:
        """All three together, by name."""
        return {**self.graph, **self.build, **self.run}


@dataclass(frozen=True)
class Policy:
    """How an engine is warmed up and timed; times in seconds.

    `statistic` names the metric that decides when sampling stops (see `engines.statistics.metrics`): with a
    `target_half_width` of 0.02, once its 95 % interval is within 2 % of the value; None is the default of the
    machine. Sampling goes on for at least `minimum_inferences`, and with `certify` until they are enough to
    bound the 99th percentile. `transfers` times the copies to and from the device too,
    `cold` also times inferences with caches flushed, `spin_wait` waits for the device without sleeping,
    `parts` splits each latency into its parts, `telemetry` reads the machine between blocks. With
    `loads_together` other tuners may load engines at the same time, so that device memory cannot be measured.
    """

    warmup_seconds: float = 0.2
    minimum_seconds: float = 0.5
    maximum_seconds: float = 3.0
    block_seconds: float = 0.1
    target_half_width: float | None = None
    statistic: str = "latency_ms"
    minimum_inferences: int = 0
    certify: bool = False
    transfers: bool = False
    cold: bool = False
    spin_wait: bool = True
    parts: bool = False
    telemetry: bool = True
    loads_together: bool = False


@dataclass(frozen=True)
class Bar:
    """The value that prunes a candidate: measuring stops once it is clearly worse. `value` is of the policy's
    statistic, whose run-to-run spread (standard deviation of the logarithm) is `spread`.
    """

    value: float
    spread: float
