"""State of a running search: what it works with, and what it knows so far."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from engines.core.errors import UserError
from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate, Settings
from engines.executors.base import Executor
from studies.belief.devices import NOTHING_BELIEVED, Beliefs, beliefs_in
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import RepeatRecord, RepeatRole, StudySpec, TrialRecord
from studies.run.interfaces import Observer, Sampler
from studies.run.limits import Limits, limit_seconds
from studies.search.observations import Observation, observation_of
from studies.search.stopping import Left
from studies.storage.storage import Storage


@dataclass
class OpenTrial:
    """A trial from being asked for to being stored; `measured` are the evaluations that it may share, by the
    fingerprint of their engines.
    """

    number: int
    candidate: Candidate
    key: str
    measured: Mapping[str, Evaluation] = field(default_factory=dict)
    log: str = ""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    start: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class OpenRepeat:
    """The baseline being measured again, and in which role."""

    role: RepeatRole
    device: str
    started_at: datetime


@dataclass
class Running:
    """What the search of one study works with and knows.

    `records` are in the order in which they were finished, the baseline first. Trials under way are in
    `trials` by their number, and what is measured again in `again`, by negative numbers.
    """

    name: str
    spec: StudySpec
    storage: Storage
    executor: Executor
    observer: Observer
    sampler: Sampler
    measurement_plan: MeasurementPlan
    limits: Limits
    records: list[TrialRecord] = field(default_factory=list)
    repeats: list[RepeatRecord] = field(default_factory=list)
    trials: dict[int, OpenTrial] = field(default_factory=dict)
    again: dict[int, OpenRepeat] = field(default_factory=dict)
    repeat_numbers: Iterator[int] = field(default_factory=lambda: itertools.count(-1, -1))
    beliefs: Beliefs = NOTHING_BELIEVED
    refused: dict[tuple[Settings, ...], tuple[int, Failure]] = field(default_factory=dict)
    left: Left | None = None

    @property
    def is_busy(self) -> bool:
        return bool(self.trials or self.again)

    @property
    def asked(self) -> int:
        """Count the trials finished and under way."""
        return len(self.records) + len(self.trials)

    @property
    def next_number(self) -> int:
        """Return the number after all that are stored or under way; numbers lost by a killed search stay
        unused.
        """
        return 1 + max([*self.trials, *(record.number for record in self.records)], default=-1)

    @property
    def seconds_for_a_trial(self) -> float:
        return limit_seconds(self.limits, self.records[0].evaluation if self.records else None)

    def beliefs_now(self) -> Beliefs:
        """Return what all repeats of the baseline show."""
        metrics = [objective.metric for objective in self.spec.objectives]
        default = next((device.name for device in self.executor.devices), "")
        return beliefs_in(self.records[:1], self.repeats, metrics, default)

    def observation(self, record: TrialRecord) -> Observation:
        """Return the trial as it is known now."""
        return observation_of(record, self.spec, self.beliefs)

    def add(self, record: TrialRecord) -> None:
        self.records.append(record)
        candidate, failure = record.candidate, record.failure
        if failure is None or failure.kind == "internal":
            return
        # what fails before the engine exists fails for every run spec, and without a graph for every build
        if failure.stage == "graph":
            self.refused.setdefault((candidate.graph,), (record.number, failure))
        elif failure.stage == "build":
            self.refused.setdefault((candidate.graph, candidate.build), (record.number, failure))

    def assumed(self, candidate: Candidate) -> Evaluation | None:
        """Return the failure of a graph or build that was refused before, which is not tried again for
        another run spec.
        """
        graph, build = candidate.graph, candidate.build
        refused = self.refused.get((graph,)) or self.refused.get((graph, build))
        if refused is None:
            return None
        earlier, failure = refused
        return Evaluation(
            candidate, failure=replace(failure, message=f"as in trial {earlier}: {failure.message}")
        )


def stop_on_full_disk(evaluation: Evaluation) -> None:
    """Raise UserError if there was no space left."""
    if evaluation.failure is not None and evaluation.failure.kind == "disk_full":
        raise UserError(
            evaluation.failure.message,
            "Finished trials are saved: free some space and run the same command again to go on.",
        )
