"""What benchmarks measure: an engine of a model at shapes with a backend, made and timed as in a search."""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from engines.artifacts.store import make_engine, make_graph
from engines.artifacts.workspace import Workspace
from engines.backends.registry import Runner, open_backend
from engines.core.results import Evaluation
from engines.core.values import Candidate, Policy, Settings
from engines.shapes.text import format_shapes
from engines.trials.sampling import target_half_width
from engines.trials.session import Session
from engines.worker.client import Worker
from engines.worker.protocol import Open
from examples import models
from studies.core.objectives import judge
from studies.core.records import RepeatRecord, RepeatRole, StudyRecord, StudySpec, TrialRecord
from studies.core.space import candidate_at
from studies.setup.request import Request
from studies.setup.spec import settle, specify

LONGEST_SECONDS = 1800.0
# where only times count
ANY_ERROR = ("error<=1e9",)
# about a millisecond on two cores
SMALL = ("mlp", "features:256x64")


@dataclass(frozen=True)
class Subject:
    """An engine as the baseline of a study's spec, and what opens a worker for it."""

    spec: StudySpec
    opening: Open
    workspace: Workspace

    @property
    def candidate(self) -> Candidate:
        return self.spec.baseline

    @property
    def metric(self) -> str:
        return self.spec.objectives[0].metric

    def worker(self, name: str = "") -> Worker:
        """A context manager; the process is started when first needed."""
        return Worker(self.opening, self.workspace, name)

    def session(self) -> Session:
        """What evaluates candidates in this very process."""
        backend = open_backend(self.opening.backend, self.opening.options, self.workspace.caches)
        policy = target_half_width(self.opening.policy, backend.machine().kind)
        return Session(backend, self.opening.workload, self.workspace, policy)

    def lines(self) -> str:
        """Machine, model and settings, for behind a benchmark's heading."""
        machine, workload = self.spec.machine, self.spec.workload
        libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
        driver = f", driver {machine.driver}" if machine.driver else ""
        shapes = format_shapes({name: one.optimum for name, one in workload.plan.ranges.items()})
        settings = ", ".join(f"{name}={value}" for name, value in self.candidate.settings.items())
        return (
            f"backend   {self.spec.backend} on {machine.processor}{driver}, {libraries}\n"
            f"model     {workload.model.file.name} at {shapes}\n"
            f"engine    {settings}"
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that say what is measured and how long."""
    parser.add_argument("model", nargs="?", type=Path, help="a small network where none is given")
    parser.add_argument("--shapes", action="append", default=[])
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="not the default")
    parser.add_argument("--workspace", type=Path, help="keeps engines; else they are made anew")
    add_seconds(parser)


def add_seconds(parser: argparse.ArgumentParser, seconds: float = Policy().minimum_seconds) -> None:
    text = "the shortest measurement; warm-up, blocks and the longest one are in proportion"
    parser.add_argument("--seconds", type=float, default=seconds, help=text)


def policy_of(seconds: float) -> Policy:
    """The default policy, shortened or lengthened as a whole."""
    usual = Policy()
    scale = seconds / usual.minimum_seconds
    return replace(
        usual,
        warmup_seconds=scale * usual.warmup_seconds,
        minimum_seconds=seconds,
        maximum_seconds=scale * usual.maximum_seconds,
        block_seconds=scale * usual.block_seconds,
    )


@contextmanager
def workspace_at(folder: Path | None) -> Iterator[Workspace]:
    """The workspace in the folder, or one that is removed afterwards."""
    if folder is not None:
        yield Workspace(folder).create()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Workspace(Path(name)).create()


def subject_of(
    arguments: argparse.Namespace,
    workspace: Workspace,
    policy: Policy,
    constraints: Sequence[str] = ANY_ERROR,
) -> Subject:
    """The subject that the options of `add_options` name."""
    model, shapes = arguments.model, arguments.shapes
    if model is None:
        model, shapes = models.save(SMALL[0], workspace.caches), [SMALL[1]]
    return subject(model, workspace, policy, arguments.backend, shapes, arguments.fix, constraints)


def subject(
    model: Path,
    workspace: Workspace,
    policy: Policy,
    backend: str,
    shapes: Sequence[str] = (),
    fix: Sequence[str] = (),
    constraints: Sequence[str] = ANY_ERROR,
) -> Subject:
    """The engine with the settings that are fixed, and defaults for all others."""
    request = Request(
        model=model,
        backend=backend,
        constraints=tuple(constraints),
        shapes=tuple(shapes),
        fix=tuple(fix),
        policy=policy,
    )
    question = settle(request, workspace)
    with Worker(question.backend, workspace) as worker:
        spec, _ = specify(question, worker.open())
    chosen = {one.name: one.default if one.default in one.choices else one.choices[0] for one in spec.space}
    return Subject(replace(spec, baseline=candidate_at(spec.space, chosen)), question.backend, workspace)


def measured(worker: Worker, candidate: Candidate) -> Evaluation:
    """The candidate measured once more, as a trial is; a failure is the end."""
    found = worker.evaluate(candidate, LONGEST_SECONDS)
    if found.failure is not None:
        sys.exit(f"the engine failed at {found.failure.stage}: {found.failure.message}")
    return found


@contextmanager
def loaded(session: Session, candidate: Candidate) -> Iterator[Runner]:
    """A runner of the candidate's engine in this process."""
    graph = make_graph(session.backend, session.workload, candidate.graph, session.workspace)
    _, folder = make_engine(session.backend, session.workload, candidate, session.workspace, graph)
    inputs = session.reference(session.workload.plan.batch).inputs[0]
    runner = session.backend.open(folder, session.workload, candidate.run, inputs, session.policy)
    try:
        yield runner
    finally:
        runner.close()


def trial(spec: StudySpec, number: int, evaluation: Evaluation, *, reused: bool = False) -> TrialRecord:
    """The evaluation as a trial of a study."""
    state, metrics, violations = judge(evaluation, spec.constraints)
    candidate, now = evaluation.candidate, datetime.now(UTC)
    return TrialRecord(number, candidate, state, metrics, violations, evaluation, now, 0.0, reused)


def repeat(role: RepeatRole, number: int, evaluation: Evaluation, after: int, session: int) -> RepeatRecord:
    """The evaluation as a repeat of a trial."""
    return RepeatRecord(number, role, after, session, 0, evaluation, datetime.now(UTC))


def pair(
    spec: StudySpec,
    self_test: Iterable[Evaluation],
    baseline: Evaluation,
    candidate: Evaluation,
    *,
    reused: bool = False,
) -> StudyRecord:
    """A study of two trials behind a self-test, which the baseline is a run of unless it is reused."""
    # one candidate is not compared with itself
    other = replace(candidate.candidate, run=Settings(candidate.candidate.run, measured_as="another"))
    trials = trial(spec, 0, baseline, reused=reused), trial(spec, 1, replace(candidate, candidate=other))
    return study(spec, trials, [repeat("self-test", 0, one, 1, 0) for one in self_test])


def study(
    spec: StudySpec, trials: Iterable[TrialRecord], repeats: Iterable[RepeatRecord] = ()
) -> StudyRecord:
    return StudyRecord("benchmark", spec, tuple(trials), datetime.now(UTC), repeats=tuple(repeats))


def say(text: str) -> None:
    """How far a benchmark is."""
    print(text, file=sys.stderr, flush=True)
