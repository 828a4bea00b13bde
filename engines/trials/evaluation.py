"""Evaluate one candidate: make its graph, build, load, check, warm up, measure, and check again.

A candidate that fails is a result; only a mistake of the user's (UserError) is raised.
"""

import errno
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

from engines.accuracy import errors as accuracy
from engines.accuracy import task_metrics
from engines.artifacts.fingerprints import Reused, fingerprint
from engines.artifacts.store import discard, make_engine, make_graph
from engines.backends.base import Runner
from engines.core.errors import EngineError, UserError
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, FailureKind, Measurement
from engines.core.values import Bar, Candidate, Stage, Workload
from engines.machine import cpu
from engines.machine.nvtx import nvtx_range
from engines.shapes.plan import asked_batch
from engines.trials import sampling
from engines.trials.sampling import Meter
from engines.trials.session import Reference, Session

Report = Callable[[Stage, str], None]
# times warm engines, one for each case
Timing = Callable[[Sequence[Meter], Sequence[list[Block]]], Measurement]


def evaluate(session: Session, candidate: Candidate, report: Report, bar: Bar | None = None) -> Evaluation:
    """Evaluate the candidate, measured until its interval is narrow or it is clearly worse than the bar.

    `report` is called with each stage as it begins, and with details.
    """
    return evaluate_with(session, candidate, report, _to_the_bar(bar))


def evaluate_unless_measured(
    session: Session, candidate: Candidate, report: Report, bar: Bar | None, measured: Collection[str]
) -> Evaluation | Reused:
    """Evaluate the candidate, but only check an engine that has one of the fingerprints `measured`."""
    progress = _Progress(report, session.backend.clock, measured)
    return _evaluate(session, candidate, progress, _to_the_bar(bar))


def evaluate_with(session: Session, candidate: Candidate, report: Report, timing: Timing) -> Evaluation:
    """Evaluate the candidate with `timing` to time the warm engine."""
    found = _evaluate(session, candidate, _Progress(report, session.backend.clock), timing)
    assert isinstance(found, Evaluation), "nothing was measured before"
    return found


def _to_the_bar(bar: Bar | None) -> Timing:
    return lambda meters, warmups: sampling.measure_cases(meters, warmups, bar)


def _evaluate(
    session: Session, candidate: Candidate, progress: "_Progress", timing: Timing
) -> Evaluation | Reused:
    measurement = failure = None
    try:
        with nvtx_range("trial"):
            measurement = _run_stages(session, candidate, progress, timing)
    except UserError:
        raise
    except Exception as error:
        failure = _failure_of(error, progress.stage)
    if measurement is None and failure is None:
        return progress.recognised()
    return Evaluation(
        candidate=candidate,
        graph=progress.graph,
        engine=progress.engine,
        accuracy=progress.accuracy,
        measurement=measurement,
        failure=failure,
        stage_seconds=progress.stage_seconds,
    )


@dataclass
class _Progress:
    """The results of a candidate so far, which a failure keeps."""

    report: Report
    clock: Callable[[], float]
    measured: Collection[str] = ()
    stage: Stage = "graph"
    stage_seconds: dict[str, float] = field(default_factory=dict)
    graph: Artifact | None = None
    engine: Artifact | None = None
    accuracy: Accuracy | None = None
    resident: int | None = None
    memory_bytes: int | None = None

    @property
    def is_measured(self) -> bool:
        return fingerprint(self.engine) in self.measured

    def recognised(self) -> Reused:
        assert self.graph is not None
        assert self.engine is not None
        assert self.accuracy is not None
        return Reused(self.graph, self.engine, self.accuracy, self.stage_seconds)

    def waiting(self) -> None:
        self.report("wait", "")

    def detail(self, text: str) -> None:
        self.report(self.stage, text)

    @contextmanager
    def during(self, stage: Stage) -> Iterator[None]:
        self.stage = stage
        self.report(stage, "")
        start = self.clock()
        try:
            with nvtx_range(stage):
                yield
        finally:
            self.stage_seconds[stage] = self.stage_seconds.get(stage, 0.0) + self.clock() - start


def _run_stages(
    session: Session, candidate: Candidate, progress: _Progress, timing: Timing
) -> Measurement | None:
    """Return the measurement; None for an engine that was measured before."""
    with progress.during("graph"):
        progress.graph, file = make_graph(
            session.backend, session.workload, candidate.graph, session.workspace, progress.detail
        )
    with progress.during("prepare"):
        references = _references(session, candidate)
    engine = partial(_loaded, session, candidate, (progress.graph, file), references, progress)
    with ExitStack() as stack:
        try:
            runners = stack.enter_context(engine())
        except EngineError as error:
            # a new engine that cannot be loaded fails for good; one from the cache may be damaged
            if progress.engine is None or not progress.engine.reused or error.kind != "refused":
                raise
            discard(session.workspace, progress.engine)
            runners = stack.enter_context(engine())
        meters = [
            Meter(runner, session.policy, reference.batch, session.backend.probe(), case)
            for case, (runner, reference) in enumerate(zip(runners, references, strict=True))
        ]
        measurement = _check_and_measure(meters, references, session.workload, progress, timing)
        if measurement is None:
            return None
        # other processes change the device's memory meanwhile
        held = None if session.policy.loads_together else runners[0].device_memory_bytes
        return replace(measurement, memory_bytes=progress.memory_bytes, device_memory_bytes=held)


def _references(session: Session, candidate: Candidate) -> list[Reference]:
    """Return the reference of each case at the candidate's batch."""
    plan = session.workload.plan
    return [_reference(session, asked_batch(plan, candidate, case), case) for case in range(len(plan.cases))]


def _reference(session: Session, batch: int, case: int) -> Reference:
    """Return the reference at a batch; a model that cannot run at a searched batch is a failed candidate."""
    try:
        return session.reference(batch, case)
    except UserError as error:
        if batch == session.workload.plan.cases[case].batch:
            raise
        raise EngineError(error.message, error.hint) from error


@contextmanager
def _loaded(
    session: Session,
    candidate: Candidate,
    graph: tuple[Artifact, Path],
    references: Sequence[Reference],
    progress: _Progress,
) -> Iterator[list[Runner]]:
    """Build the engine if necessary, load it once for each case, and hold the device lock until it is closed.

    If loads are shared, the lock is exclusive only after loading.
    """
    folder = _build(session, candidate, graph, progress)
    load = partial(_load, session, candidate, folder, references, progress)
    with ExitStack() as stack:
        runners = _load_beside(session, load, progress) or []
        _close_with(stack, runners)
        with session.lock.exclusive(progress.waiting), stack.pop_all() as loaded:
            if not runners:
                runners = load()
                _close_with(loaded, runners)
            yield runners


def _close_with(stack: ExitStack, runners: Sequence[Runner]) -> None:
    for runner in runners:
        stack.enter_context(closing(runner))


def _load_beside(
    session: Session, load: Callable[[], list[Runner]], progress: _Progress
) -> list[Runner] | None:
    """Load the engine with a shared lock; None if loads are not shared, or memory is too low for that."""
    if not session.policy.loads_together:
        return None
    try:
        with session.lock.shared(progress.waiting):
            return load()
    except EngineError as error:
        if error.kind != "out_of_memory":
            raise
        return None


def _load(
    session: Session, candidate: Candidate, folder: Path, references: Sequence[Reference], progress: _Progress
) -> list[Runner]:
    """Return a runner for each case; all are closed if one of them cannot be loaded."""
    progress.resident = cpu.restart_memory_peak()
    runners: list[Runner] = []
    with progress.during("load"), ExitStack() as stack:
        for one in references:
            runners.append(
                session.backend.open(folder, session.workload, candidate.run, one.inputs[0], session.policy)
            )
            stack.enter_context(closing(runners[-1]))
        stack.pop_all()
    return runners


def _build(session: Session, candidate: Candidate, graph: tuple[Artifact, Path], progress: _Progress) -> Path:
    """Return the folder of the engine."""
    turn = session.lock.exclusive(progress.waiting, needed=session.lock.device.builds)
    with turn, progress.during("build"):
        progress.engine, folder = make_engine(
            session.backend, session.workload, candidate, session.workspace, graph, progress.detail
        )
    return folder


def _check_and_measure(
    meters: Sequence[Meter],
    references: Sequence[Reference],
    workload: Workload,
    progress: _Progress,
    timing: Timing,
) -> Measurement | None:
    """Check before and after timing, so that an engine that is wrong only under load is caught."""
    with progress.during("check"):
        before = progress.accuracy = _check(meters, references, workload)
    if progress.is_measured:
        return None
    with progress.during("warm-up"):
        warmups = [sampling.warm_up(meter) for meter in meters]
    with progress.during("measure"):
        measurement = timing(meters, warmups)
        # flushing takes memory that does not belong to the engine
        progress.memory_bytes = _growth(progress.resident)
        measurement = replace(measurement, cold=sampling.cold_blocks(meters, measurement))
    with progress.during("check"):
        after = _check(meters, references, workload)
        progress.accuracy = replace(_worse(before, after, workload), samples=before.samples)
    return measurement


def _check(meters: Sequence[Meter], references: Sequence[Reference], workload: Workload) -> Accuracy:
    """Return the worst of all cases."""
    first, *others = (
        _check_case(meter.runner, reference, workload)
        for meter, reference in zip(meters, references, strict=True)
    )
    for other in others:
        first = _worse(first, other, workload)
    return first


def _worse(one: Accuracy, other: Accuracy, workload: Workload) -> Accuracy:
    """Return the worse of each measure, and the samples of both."""
    worst = accuracy.worst([one.outputs, other.outputs], one.samples + other.samples)
    return replace(worst, scores=task_metrics.worse(workload.metrics, one.scores, other.scores))


def _check_case(runner: Runner, reference: Reference, workload: Workload) -> Accuracy:
    """Check every batch; the first of them on every stream, since each may have its own buffers."""
    errors, outputs = [], []
    for inputs, expected in zip(reference.inputs, reference.outputs, strict=True):
        found = runner.infer(inputs)
        errors.append(accuracy.compare(expected, found))
        # large outputs are freed as soon as possible
        outputs += [found] if workload.metrics else []
    inputs, expected = reference.inputs[0], reference.outputs[0]
    # the top-1 share is that of all batches, not of the worst
    streams = [
        tuple(replace(error, top1=None) for error in accuracy.compare(expected, runner.infer(inputs, stream)))
        for stream in range(1, runner.streams)
    ]
    scores = task_metrics.scores(workload, reference.given, outputs)
    worst = accuracy.worst([accuracy.over_batches(errors), *streams], _samples(reference))
    return replace(worst, scores=scores)


def _samples(reference: Reference) -> int:
    return reference.batch * len(reference.inputs)


def _growth(resident: int | None) -> int | None:
    peak = cpu.memory_peak()
    return None if resident is None or peak is None else max(0, peak - resident)


def _failure_of(error: Exception, stage: Stage) -> Failure:
    if isinstance(error, EngineError):
        return Failure(stage, cast("FailureKind", error.kind), error.message, error.hint)
    if isinstance(error, MemoryError):
        return Failure(stage, "out_of_memory", str(error) or "the host's memory is exhausted")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(stage, "disk_full", f"no space left in the workspace: {error.strerror}")
    traceback.print_exception(error, file=sys.stderr)
    return Failure(
        stage, "internal", f"{type(error).__name__}: {error}", "The trial's log has the traceback."
    )
