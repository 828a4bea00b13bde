"""The result of a candidate: frozen data that crosses process borders as JSON (see `engines.core.wire`)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from engines.core.values import Candidate, Samples, Stage, Value

# beyond float64's own rounding
LEAST_ERROR = 1e-15


@dataclass(frozen=True)
class Artifact:
    """A graph or an engine in the workspace: its digest, size and the seconds it took to make (0 if
    reused).
    """

    digest: str
    size_bytes: int
    seconds: float
    reused: bool
    facts: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Block:
    """One timed block: the latency of each inference in the order in which they ended, and the block's span.

    `telemetry` was read around the block, never in it (see `engines.machine.telemetry`). `parts` splits each
    latency into named parts, if the policy asks for it. `disturbed` is the reason why the block should not
    count; empty if it should. `case` is the index of its shapes among the cases of the workload's plan.
    """

    latency_ms: Samples
    span_seconds: float
    started_at: float
    telemetry: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Samples] = field(default_factory=dict)
    disturbed: str = ""
    case: int = 0


@dataclass(frozen=True, eq=False)
class Measurement:
    """Raw samples of one engine under one run spec; statistics are derived from them and never stored.

    `batch` is the number of samples in one inference, `converged` whether the interval became narrow enough
    before the time was up, `pruned` whether sampling ended early because the engine was clearly worse than
    the bar. `cold` are blocks timed with caches flushed before each inference, `discarded` those that were
    disturbed and repeated. `memory_bytes` (the host's) and `device_memory_bytes` are None if the machine does
    not report them, the latter also if engines are loaded at the same time.
    """

    blocks: tuple[Block, ...]
    batch: int
    streams: int
    warmup_seconds: float
    warmup_runs: int
    converged: bool
    memory_bytes: int | None = None
    device_memory_bytes: int | None = None
    pruned: bool = False
    cold: tuple[Block, ...] = ()
    discarded: tuple[Block, ...] = ()

    def of_case(self, case: int) -> "Measurement":
        """Return the blocks at the shapes of one case."""

        def of(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
            return tuple(block for block in blocks if block.case == case)

        return replace(self, blocks=of(self.blocks), cold=of(self.cold), discarded=of(self.discarded))


@dataclass(frozen=True)
class OutputError:
    """The error of one output: relative L2 norm, largest and mean absolute difference from the reference,
    cosine similarity, and the share of rows whose largest value is in the same place.

    None if it was not measured; `top1` is None for an output that holds no scores.
    """

    name: str
    relative_l2: float
    max_abs: float
    mean_abs: float | None = None
    cosine: float | None = None
    top1: float | None = None

    @property
    def snr_db(self) -> float:
        """Signal to noise ratio in dB, limited where outputs are equal."""
        return -20 * math.log10(max(self.relative_l2, LEAST_ERROR))


@dataclass(frozen=True)
class Accuracy:
    """The worst of every output over all samples checked, before and after the timed blocks.

    `scores` are the values of the user's own metrics, the worse of before and after.
    """

    outputs: tuple[OutputError, ...]
    samples: int
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """Relative L2 error of the worst output."""
        return max((output.relative_l2 for output in self.outputs), default=0.0)

    @property
    def max_abs_error(self) -> float:
        """Largest absolute difference in any output."""
        return max((output.max_abs for output in self.outputs), default=0.0)


@dataclass(frozen=True)
class NodeError:
    """The relative L2 error of the worst output when this node alone is lowered.

    It is inf where an output is not finite.
    """

    node: str
    operator: str
    error: float


FailureKind = Literal[
    "refused",  # the vendor's library reported an error
    "crashed",  # the worker died
    "timeout",
    "out_of_memory",
    "not_finite",
    "wrong_output",  # another shape, type or name than the model's
    "disk_full",
    "internal",  # a bug of the tuner
]


@dataclass(frozen=True)
class Failure:
    """Why a candidate has no measurement; a result like any other."""

    stage: Stage
    kind: FailureKind
    message: str
    hint: str = ""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of one candidate: exactly one of measurement and failure, and all that was known by then."""

    candidate: Candidate
    graph: Artifact | None = None
    engine: Artifact | None = None
    accuracy: Accuracy | None = None
    measurement: Measurement | None = None
    failure: Failure | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.measurement is None) == (self.failure is None):
            raise ValueError("an evaluation has exactly one of measurement and failure")
