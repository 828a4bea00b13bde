"""`tuner bisect`: the smallest set of nodes that must stay in FP32 for a trial's outputs to be right.

It is found with few attempts, since each builds an engine. Every attempt is a real one: the trial's own
graph with other nodes kept, built, run and checked like a trial.
"""

import glob
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dashboards.words import formats
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Candidate, Policy, Settings, Workload
from engines.graphs.context import KEPT_NODES
from engines.graphs.dimensions import HALVES, QUANTIZED, base_precision
from engines.models.located import located
from engines.worker import questions
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.core.metrics import accuracy_metrics
from studies.core.objectives import DEFAULT_ERROR_LIMIT, judge
from studies.core.records import Constraint, StudyRecord, StudySpec, TrialRecord
from studies.run.limits import BASELINE_SECONDS
from studies.setup.spec import are_concurrent
from tuner.documents import commands
from tuner.documents.base import SCHEMA

if TYPE_CHECKING:
    from studies.run.interfaces import Observer

# outputs are what matters here, and timings are not looked at
CHECKED_ONLY = Policy(warmup_seconds=0.0, minimum_seconds=0.0, maximum_seconds=0.01, block_seconds=0.01)
EXPORT_AGAIN = "Export the model again."
# whether an engine with these nodes kept is within its limits
IsRight = Callable[[tuple[str, ...]], bool]
WRONG_OUTPUTS = ("not_finite", "wrong_output")


@dataclass(frozen=True)
class Attempt:
    """One engine with some nodes kept, and whether it was within the limits; `error` is None without one."""

    kept: tuple[str, ...]
    right: bool
    error: float | None
    failure: str = ""


@dataclass(frozen=True)
class Bisection:
    """What was found; `nodes` is None where no set of nodes helps."""

    study: str
    trial: TrialRecord
    limits: tuple[Constraint, ...]
    nodes: tuple[str, ...] | None
    lowerable: int
    attempts: tuple[Attempt, ...]


def bisect(study: StudyRecord, trial: TrialRecord, workspace: Workspace, observer: "Observer") -> Bisection:
    """Find the nodes that a trial must keep in FP32; raises UserError if the trial cannot be bisected."""
    spec = study.spec
    _require_lowered(trial)
    # a study that lies elsewhere may have been made with another one
    workspace.create()
    observer.preparing("ranking the nodes by how much they hurt")
    limits = accuracy_limits(spec)
    workload = located(spec.workload, workspace, check=True)
    with Worker(_opening(spec, workload, workspace), workspace, "-bisect") as worker:
        found = questions.rank_nodes(
            worker, workload, trial.candidate.graph, workspace.caches, observer.preparing, EXPORT_AGAIN
        )
        ranked = tuple(one.node for one in found)
        worker.open()
        attempts = _Attempts(worker, trial.candidate, limits, observer)
        nodes = smallest_set(ranked, attempts)
    return Bisection(study.name, trial, limits, nodes, len(ranked), tuple(attempts.made))


def accuracy_limits(spec: StudySpec) -> tuple[Constraint, ...]:
    """Return the study's constraints on accuracy, the default one if it has none."""
    own = {metric.name for metric in spec.workload.metrics}
    found = tuple(one for one in spec.constraints if one.metric in {*accuracy_metrics(), *own})
    return found or (DEFAULT_ERROR_LIMIT,)


def smallest_set(ranked: Sequence[str], is_right: IsRight) -> tuple[str, ...] | None:
    """Return nodes that must all stay in FP32; None if keeping all nodes does not help.

    `ranked` are the nodes that may be kept, the most hurtful first. A prefix of them is found by doubling,
    and what it holds in vain is taken out as QuickXplain does (Junker, AAAI 2004), which asks about
    2 k log2(n / k) times for k of n. Where keeping more can make things worse, what is found still helps
    and none of it can be left out, but there may be a smaller set.
    """
    prefix = _helpful_prefix(ranked, is_right)
    if not prefix:
        return prefix
    return _explained((), (), prefix, is_right)


def _helpful_prefix(ranked: Sequence[str], is_right: IsRight) -> tuple[str, ...] | None:
    """Return a prefix, at most twice as long as it must be, that helps; None without one."""
    count = 0
    while not is_right(tuple(ranked[:count])):
        if count >= len(ranked):
            return None
        count = min(max(1, 2 * count), len(ranked))
    return tuple(ranked[:count])


def _explained(
    background: tuple[str, ...], added: tuple[str, ...], nodes: tuple[str, ...], is_right: IsRight
) -> tuple[str, ...]:
    """Return the nodes that are needed besides the background, to which `added` was just added."""
    if added and is_right(background):
        return ()
    if len(nodes) == 1:
        return nodes
    middle = len(nodes) // 2
    first, second = nodes[:middle], nodes[middle:]
    needed = _explained((*background, *first), first, second, is_right)
    return (*_explained((*background, *needed), needed, first, is_right), *needed)


class _Attempts:
    """Builds and checks an engine for each set of nodes, and remembers what came of it."""

    def __init__(
        self, worker: Worker, candidate: Candidate, limits: Sequence[Constraint], observer: "Observer"
    ) -> None:
        self.made: list[Attempt] = []
        self._worker, self._candidate, self._limits, self._observer = worker, candidate, limits, observer

    def __call__(self, kept: tuple[str, ...]) -> bool:
        known = {frozenset(one.kept): one.right for one in self.made}
        if frozenset(kept) not in known:
            self.made.append(self._attempt(kept))
            self._observer.note(attempt_line(self.made[-1]))
        return known.get(frozenset(kept), self.made[-1].right)

    def _attempt(self, kept: tuple[str, ...]) -> Attempt:
        what = f"attempt {len(self.made) + 1}, {formats.plural(len(kept), 'node')} kept in FP32"
        self._observer.preparing(what)
        candidate = keeping(self._candidate, kept)
        evaluation = self._worker.evaluate(
            candidate, BASELINE_SECONDS, lambda stage, _: self._observer.preparing(f"{what}: {stage}")
        )
        failure = evaluation.failure
        if failure is not None and failure.kind in ("disk_full", "internal"):
            raise UserError(failure.message, failure.hint or "See the worker's log.")
        return _judged(kept, evaluation, self._limits)


def keeping(candidate: Candidate, nodes: Sequence[str]) -> Candidate:
    """Return the candidate with these nodes in FP32 and no others."""
    settings = {name: value for name, value in candidate.graph.items() if name != "keep_fp32"}
    return replace(candidate, graph=Settings(settings, **{KEPT_NODES: "\n".join(nodes)}))


def _judged(kept: tuple[str, ...], evaluation: Evaluation, limits: Sequence[Constraint]) -> Attempt:
    state, _, _ = judge(evaluation, limits)
    error = evaluation.accuracy.error if evaluation.accuracy else None
    message = evaluation.failure.message if evaluation.failure else ""
    return Attempt(kept, state == "feasible", error, message)


def attempt_line(attempt: Attempt) -> str:
    """Such as `2 nodes kept: error 0.0004, within the limits`."""
    found = attempt.failure or f"error {formats.number(attempt.error)}"
    verdict = "within the limits" if attempt.right else "beyond the limits"
    return f"{formats.plural(len(attempt.kept), 'node')} kept: {found}, {verdict}"


def _require_lowered(trial: TrialRecord) -> None:
    failure = trial.failure
    if failure is not None and failure.kind not in WRONG_OUTPUTS:
        raise UserError(
            f"trial {trial.number} failed before its outputs could be checked: {failure.message}",
            "Bisecting is for engines whose outputs are wrong.",
        )
    precision = str(trial.candidate.graph.get("precision", ""))
    if base_precision(precision) not in (*HALVES, *QUANTIZED):
        raise UserError(
            f"trial {trial.number} is in {precision or 'no precision'}, so no node of it was lowered",
            "Name a trial in fp16, bf16, int8, fp8 or int4.",
        )


def _opening(spec: StudySpec, workload: Workload, workspace: Workspace) -> Open:
    return Open(
        backend=spec.backend,
        options=spec.backend_options,
        workspace=str(workspace.root.resolve()),
        workload=workload,
        policy=CHECKED_ONLY,
        concurrent=are_concurrent(spec.objectives),
    )


def bisection_document(found: Bisection) -> commands.Bisection:
    """Return the bisection as a document."""
    last = _last(found)
    attempts = [
        commands.Attempt(kept=list(one.kept), right=one.right, error=one.error, failure=one.failure or None)
        for one in found.attempts
    ]
    return commands.Bisection(
        schema=SCHEMA,
        study=found.study,
        trial=found.trial.number,
        limits=[str(limit) for limit in found.limits],
        nodes=None if found.nodes is None else list(found.nodes),
        error=last.error if last else None,
        lowerable=found.lowerable,
        attempts=attempts,
    )


def lines(found: Bisection) -> list[str]:
    """Return what was found, and what to do with it."""
    limits = " and ".join(map(str, found.limits))
    built = formats.plural(len(found.attempts), "engine")
    if found.nodes is None:
        return [
            f"No set of the {found.lowerable} nodes that can be lowered brings trial {found.trial.number} "
            f"within {limits}, not even all of them ({built} tried): the fault lies elsewhere.",
        ]
    if not found.nodes:
        return [f"Trial {found.trial.number} is within {limits} with nothing kept in FP32."]
    last = _last(found)
    error = f", error {formats.number(last.error)}" if last else ""
    nodes = formats.plural(len(found.nodes), "node")
    precision = found.trial.candidate.graph["precision"]
    number, options = found.trial.number, " ".join(map(_option, found.nodes))
    return [
        f"Trial {number} is within {limits} with {nodes} of {found.lowerable} kept in FP32{error}:",
        *(f"  {name}" for name in found.nodes),
        f"None of them can be left out. {built} tried.",
        f"To search on with them: tuner search ... --precision {precision} {options}",
    ]


def _option(node: str) -> str:
    """As --keep-fp32 takes it, which reads patterns."""
    return f"--keep-fp32 {shlex.quote(glob.escape(node))}"


def _last(found: Bisection) -> Attempt | None:
    if found.nodes is None:
        return None
    kept = frozenset(found.nodes)
    return next((one for one in found.attempts if frozenset(one.kept) == kept), None)
