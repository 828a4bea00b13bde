"""Frozen data of a study and its results, read from storage; reports need nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engines.core.results import Accuracy, Artifact, Evaluation, Failure, Measurement
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Stage, Workload
from engines.statistics.estimates import Estimate

Direction = Literal["minimize", "maximize"]
TrialState = Literal["feasible", "infeasible", "failed"]


@dataclass(frozen=True)
class Objective:
    """A metric to minimise or maximise."""

    metric: str
    direction: Direction


@dataclass(frozen=True)
class Constraint:
    """A limit that a metric must keep, such as error<=0.01."""

    metric: str
    operator: Literal["<=", ">="]
    limit: float

    def __str__(self) -> str:
        return f"{self.metric}{self.operator}{self.limit:g}"

    def violation(self, value: float) -> float:
        """Return how far the value is beyond the limit, in the metric's unit; zero or less if it is met."""
        return value - self.limit if self.operator == "<=" else self.limit - value


@dataclass(frozen=True)
class StudySpec:
    """Everything that makes a study this study; two searches with the same spec go on with each other's work.

    `policy` is how its engines are timed. `space` holds every dimension of the backend, its choices narrowed
    to those searched: one choice is a fixed value. The baseline need not lie inside it.
    """

    workload: Workload
    backend: str
    backend_options: Settings
    machine: Machine
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    space: tuple[Dimension, ...]
    baseline: Candidate
    policy: Policy = Policy()


@dataclass(frozen=True, eq=False)
class TrialRecord:
    """One candidate and its results.

    `metrics` holds what could be derived, by name (see `studies.core.metrics`); `violations` maps a
    constraint's text to how far it was missed; `reused` says that the measurement was answered from storage.
    `same_as` is the earlier trial that was measured in this one's place, since their engines are the same.
    `device` is the name of the device that it was measured on; "" where an older version stored it.
    """

    number: int
    candidate: Candidate
    state: TrialState
    metrics: Mapping[str, Estimate]
    violations: Mapping[str, float]
    evaluation: Evaluation
    started_at: datetime
    seconds: float
    reused: bool = False
    log: str = ""
    same_as: int | None = None
    device: str = ""

    @property
    def failure(self) -> Failure | None:
        return self.evaluation.failure

    @property
    def measurement(self) -> Measurement | None:
        return self.evaluation.measurement

    @property
    def accuracy(self) -> Accuracy | None:
        return self.evaluation.accuracy

    @property
    def engine(self) -> Artifact | None:
        return self.evaluation.engine

    @property
    def kept_fp32(self) -> tuple[str, ...]:
        """Return the nodes of a lowered graph that stayed in FP32."""
        graph = self.evaluation.graph
        return tuple(str(graph.facts.get("kept_fp32", "")).splitlines()) if graph else ()


RepeatRole = Literal[
    "self-test",  # the baseline as if it were another candidate, at the beginning
    "anchor",  # the baseline between trials, to see the machine drift
    "final",  # a finalist, interleaved with the others
    "again",  # one of the best of a recorded space, in another pass
]


@dataclass(frozen=True, eq=False)
class RepeatRecord:
    """A trial's candidate measured once more.

    Finals are numbered by the trials that the study had (`after`), and have sessions in which every
    finalist is loaded anew and timed in turn; `build` is 0 for the trial's own engine and counts its cold
    rebuilds from 1. Of a recorded space the session is the number of the pass, from 1. `device` is as in
    TrialRecord.
    """

    trial: int
    role: RepeatRole
    after: int
    session: int
    build: int
    evaluation: Evaluation
    started_at: datetime
    device: str = ""

    @property
    def measurement(self) -> Measurement | None:
        return self.evaluation.measurement


@dataclass(frozen=True)
class AttemptRecord:
    """A trial that is under way; its row is deleted when the trial is stored.

    `stage` is what is done now and `detail` how far it is, `since` when the stage began, `heartbeat` when
    its search last said that it is alive.
    """

    number: int
    candidate: Candidate
    device: str
    stage: Stage
    detail: str
    since: datetime
    heartbeat: datetime


@dataclass(frozen=True)
class Prior:
    """An earlier study that a study began with: its name, similarity (0 to 1) and how many of its trials."""

    study: str
    similarity: float
    observations: int


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """A study as stored; trial 0 is the baseline, trials are in order of their numbers, repeats in the order
    they were made. While a search runs there may be gaps: a trial has its number when it is asked for.

    `priors` are the earlier studies that it began with, the most similar first.
    """

    name: str
    spec: StudySpec
    trials: tuple[TrialRecord, ...]
    created_at: datetime
    versions: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[RepeatRecord, ...] = ()
    priors: tuple[Prior, ...] = ()

    def trial(self, number: int) -> TrialRecord | None:
        """Return the trial of this number; None if it is not stored."""
        return next((trial for trial in self.trials if trial.number == number), None)
