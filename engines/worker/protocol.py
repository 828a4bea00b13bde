"""The messages between the study's owner and a worker: one JSON message per line.

The owner sends a request and reads messages until the reply; `Progress` is not a reply.
"""

from collections.abc import Mapping
from functools import cache

import msgspec

from engines.accuracy.compare import NodeCompared
from engines.artifacts.fingerprints import Reused
from engines.core import wire
from engines.core.results import Evaluation, Measurement
from engines.core.values import (
    Bar,
    Candidate,
    Dimension,
    Machine,
    ModelFacts,
    Policy,
    Samples,
    Settings,
    Shape,
    ShapeRange,
    Stage,
    Workload,
)
from engines.machine.conditions import Condition
from engines.machine.device import Device


class Message(msgspec.Struct, frozen=True, tag=True):
    """A line on the pipe; its JSON carries the name of its type."""


class Open(Message, frozen=True):
    """Take this backend, this workload, and keep what is made below this folder.

    `metrics` are those that the search is about.
    """

    backend: str
    options: Settings
    workspace: str
    workload: Workload
    policy: Policy
    concurrent: bool
    metrics: tuple[str, ...] = ()


class Opened(Message, frozen=True):
    machine: Machine
    device: Device
    dimensions: tuple[Dimension, ...]
    warnings: tuple[str, ...] = ()


class Prepare(Message, frozen=True):
    """Compute the reference outputs for this batch, so that a model that cannot run is found at once."""

    batch: int


class Prepared(Message, frozen=True):
    samples: int


class Evaluate(Message, frozen=True):
    """`measured` are the fingerprints of engines that were measured under this run spec."""

    candidate: Candidate
    bar: Bar | None = None
    measured: tuple[str, ...] = ()


class Evaluated(Message, frozen=True):
    evaluation: Evaluation


class AlreadyMeasured(Message, frozen=True):
    """The engine is one of those measured: it was checked, and not timed."""

    found: Reused


class Hold(Message, frozen=True):
    """Take the candidate until it is warm, and keep it ready; Evaluated at once when it fails."""

    candidate: Candidate


class Held(Message, frozen=True):
    """The engine is ready to be timed."""


class Sample(Message, frozen=True):
    """Time one block of the engine that is held."""


class Release(Message, frozen=True):
    """Check the engine that was held once more; Evaluated with the blocks that were timed."""


class EngineRequest(Message, frozen=True, kw_only=True):
    """A request about one engine by itself (see `engines.worker.standalone`), which opens its own backend.

    `engine` is the folder of an export, with known `model` and `preferred` shapes, or a file that describes
    its inputs.
    """

    backend: str
    options: Settings
    caches: str
    engine: str
    run: Settings
    model: ModelFacts | None = None
    preferred: Mapping[str, Shape] = {}


class MeasureEngine(EngineRequest, frozen=True, kw_only=True):
    """Time the engine. `shapes` are those that were asked for, `inputs` is an npz file."""

    policy: Policy
    shapes: Mapping[str, Shape] = {}
    inputs: str | None = None


class EngineMeasured(Message, frozen=True):
    """`shapes` are those that the engine was run at; `notes` are to be shown, a line each."""

    measurement: Measurement
    machine: Machine
    shapes: Mapping[str, Shape]
    notes: tuple[str, ...] = ()


class DescribeEngine(EngineRequest, frozen=True, kw_only=True):
    """Describe the inputs and outputs of the engine."""


class EngineDescribed(Message, frozen=True):
    """`preferred` are the shapes to run at unless others are asked for, `limits` those that it takes."""

    model: ModelFacts
    preferred: Mapping[str, Shape]
    limits: Mapping[str, ShapeRange]


class RunEngine(EngineRequest, frozen=True, kw_only=True):
    """Run the engine on each batch in `inputs` (see `engines.data.tensor_files`), and write `outputs`."""

    inputs: str
    outputs: str


class RunModel(Message, frozen=True):
    """Run an ONNX file with nothing optimized; the files are those of `RunEngine`."""

    model: str
    inputs: str
    outputs: str


class EngineRan(Message, frozen=True):
    """The outputs are written."""


class CompareGraphs(Message, frozen=True):
    """Compare two ONNX files tensor by tensor, to the first beyond the limit or to the end.

    `inputs` are files of the same batches in the types that each of the models takes.
    """

    models: tuple[str, str]
    inputs: tuple[str, str]
    limit: float
    to_the_end: bool


class GraphsCompared(Message, frozen=True):
    """What was compared, in the order in which the first graph runs, of `common` tensors that both have."""

    tensors: tuple[NodeCompared, ...]
    common: int


class RankNodes(Message, frozen=True):
    """Rank the nodes that `settings` would lower by how much each hurts alone; what is computed is kept in
    the folder `caches`. `hint` is for the user where it cannot be done and nothing better is known.
    """

    workload: Workload
    settings: Settings
    caches: str
    hint: str


class NodesRanked(Message, frozen=True):
    """The nodes with their operators, the most hurtful first.

    An error may be infinite, which JSON cannot say.
    """

    nodes: tuple[str, ...]
    operators: tuple[str, ...]
    errors: Samples


class FindGpu(Message, frozen=True):
    """Find out whether there is a usable NVIDIA GPU."""


class GpuFound(Message, frozen=True):
    there: bool


class LookAtGpu(Message, frozen=True):
    """Check how the GPU with this CUDA index is set up, and who else uses it."""

    index: int


class GpuSeen(Message, frozen=True):
    conditions: tuple[Condition, ...]


class Progress(Message, frozen=True):
    """What the worker is doing now."""

    stage: Stage
    detail: str = ""


class Refused(Message, frozen=True):
    """The user must act: a UserError's message and hint."""

    message: str
    hint: str


# what needs no backend to have been opened
AboutGraphs = RunModel | CompareGraphs | RankNodes
AboutGpus = FindGpu | LookAtGpu
Alone = MeasureEngine | DescribeEngine | RunEngine | AboutGraphs | AboutGpus
Request = Open | Prepare | Evaluate | Hold | Sample | Release | Alone
AboutEngine = EngineMeasured | EngineDescribed | EngineRan
Answer = AboutEngine | GraphsCompared | NodesRanked | GpuFound | GpuSeen
Reply = Opened | Prepared | Evaluated | AlreadyMeasured | Held | Answer | Progress | Refused


def encode(message: Message) -> bytes:
    """The message as one line."""
    return wire.to_json(message) + b"\n"


def decode_request(line: bytes) -> Request:
    return _requests().decode(line)


def decode_reply(line: bytes) -> Reply:
    return _replies().decode(line)


@cache
def _requests() -> "msgspec.json.Decoder[Request]":
    return wire.decoder(Request)


@cache
def _replies() -> "msgspec.json.Decoder[Reply]":
    return wire.decoder(Reply)
