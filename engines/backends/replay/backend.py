"""Replay a landscape as if it were the machine that it was recorded on, on a simulated clock.

Options: landscape, a file that `tuner record` wrote; seed of what is drawn. Each opening of an engine is one
of the candidate's recorded runs, drawn at random, and its blocks are drawn from that run's. What was not
recorded is refused; making a graph or an engine and loading it takes what it took, and nothing waits.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from engines.backends.base import Detail, GraphMaker, Runner
from engines.backends.replay import limits
from engines.backends.replay.index import Recorded, error_of
from engines.backends.replay.runner import ReplayRunner, SimulatedClock, outputs_of
from engines.backends.simulated import count_opening, simulated_device
from engines.core.errors import EngineError, UserError
from engines.core.results import Failure
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Tensors, Value, Workload
from engines.core.wire import digest, from_json, to_json
from engines.landscapes.file import Landscape, load
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe

OPTIONS = ("landscape", "seed")
# dimensions that a landscape of throughput has, and a search for latency does not need
CONCURRENT = ("streams", "batch")
ENGINE = "engine.json"
OPENINGS = "replay.openings"


class Replay:
    """The backend `replay`."""

    name = "replay"

    def __init__(self, options: Settings, folder: Path) -> None:
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise UserError(
                f"the backend replay has no option {unknown[0]!r}", f"Known: {', '.join(OPTIONS)}."
            )
        if "landscape" not in options:
            raise UserError(
                "the backend replay needs a landscape",
                "Write replay:landscape=FILE, as tuner record wrote it.",
            )
        self._file, self._seed, self._folder = Path(str(options["landscape"])), _seed(options), folder
        self._landscape: Landscape = load(self._file)
        self._recorded = Recorded(self._landscape)
        self._digest = digest(self._landscape)
        self._clock = SimulatedClock()

    def machine(self) -> Machine:
        """Return the recorded machine, marked so that replayed results are never mistaken for measured
        ones.
        """
        machine = self._landscape.machine
        return replace(machine, libraries={**machine.libraries, "replay": self._digest[:8]})

    def device(self) -> Device:
        return simulated_device(self._landscape.machine.processor)

    def shared(self) -> Shared:
        return Shared()

    def warnings(self) -> tuple[str, ...]:
        return (f"nothing is measured: {self._file.name} of {self._landscape.date} is replayed",)

    def check(self, workload: Workload, policy: Policy, metrics: Collection[str]) -> None:
        limits.check(self._landscape, self._file.name, workload, policy, metrics)

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        """Return the recorded space."""
        return tuple(
            replace(one, choices=(one.default,)) if one.name in CONCURRENT and not concurrent else one
            for one in self._landscape.dimensions
        )

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        return [outputs_of(batch, self._recorded.outputs) for batch in batches]

    def graphs(self, workload: Workload) -> GraphMaker:
        return ReplayedGraphs(self._landscape, self._recorded, self._digest, self._clock)

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        return ["replay", self._digest]

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        made = self._recorded.engine(candidate)
        if made is None:
            raise _failed(self._clock, "build", self._recorded.engine_failure(candidate))
        self._clock.pass_by(made.seconds)
        _write(folder / ENGINE, to_json(candidate), made.size_bytes)
        return made.facts

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        built = _read(folder / ENGINE)
        if settings.keys() != built.run.keys():
            raise EngineError(
                "a replayed engine computes nothing, and only a search can open it",
                f"Search with the backend {self._landscape.backend}, which was recorded.",
            )
        candidate = replace(built, run=settings)
        runs = self._recorded.runs(candidate)
        if not runs:
            raise EngineError("this candidate was not recorded")
        opening = count_opening(self._folder / OPENINGS)
        drawn = int(digest("replay", self._seed, candidate, opening), 16)
        random = np.random.default_rng(drawn % 2**63)
        run = runs[int(random.integers(len(runs)))]
        self._clock.pass_by(run.seconds.get("load", 0.0))
        if run.failure is not None and run.failure.stage in ("graph", "prepare", "build", "load"):
            raise error_of(run.failure)
        streams, outputs = int(settings.get("streams", 1)), self._recorded.outputs
        return ReplayRunner(run, streams, policy, outputs, self._clock, random)

    def probe(self) -> Probe:
        return self._clock

    def clock(self) -> float:
        return self._clock.seconds


@dataclass(frozen=True)
class ReplayedGraphs:
    """The recorded graphs; making one takes the recorded time."""

    landscape: Landscape
    recorded: Recorded
    digest: str
    clock: SimulatedClock

    def key(self, settings: Settings) -> object:
        made = self.recorded.graph(settings)
        if made is not None and made.digest == self.landscape.workload.model.digest:
            return None
        return ["replay", self.digest]

    def make(self, settings: Settings, file: Path, report: Detail) -> Mapping[str, Value]:
        made = self.recorded.graph(settings)
        if made is None:
            raise _failed(self.clock, "graph", self.recorded.graph_failure(settings))
        self.clock.pass_by(made.seconds)
        _write(file, to_json(settings), made.size_bytes)
        return made.facts


def _failed(clock: SimulatedClock, stage: str, found: tuple[Failure, float] | None) -> EngineError:
    if found is None:
        return EngineError(f"no {stage} with these settings was recorded")
    failure, seconds = found
    clock.pass_by(seconds)
    return error_of(failure)


def _seed(options: Settings) -> int:
    seed = options.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UserError(f"seed of the backend replay is a whole number, not {seed!r}", "Write seed=1.")
    return seed


def _write(file: Path, content: bytes, size: int) -> None:
    """Write the content with the recorded size, as a sparse file."""
    file.write_bytes(content + b"\n")
    os.truncate(file, max(size, len(content) + 1))


def _read(file: Path) -> Candidate:
    try:
        with file.open("rb") as opened:
            return from_json(opened.readline(), Candidate)
    except msgspec.DecodeError as error:
        raise EngineError(f"the replayed engine is damaged: {error}") from error
