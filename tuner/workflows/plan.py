"""A search before it begins: what it would do, and how long that takes once its baseline was measured.

The baseline is trial 0 of the study that the search goes on with, so nothing is measured for the plan alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dashboards.words.stages import DOING
from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted, UserError
from engines.core.values import Candidate, Stage
from engines.worker.client import Worker
from studies.analysis.forecast import Forecast, extent_of, forecast
from studies.belief.rigour import Rigour, fitting
from studies.core.identity import evaluation_key
from studies.core.objectives import judge
from studies.core.records import StudySpec, TrialRecord
from studies.run.limits import Limits, Stop
from studies.run.loop import Owner
from studies.search.stopping import Left
from studies.search.transfer.find import begun_with, priors_of
from studies.setup.naming import choose_study
from studies.setup.spec import Question
from studies.storage.storage import Storage, open_storage
from tuner.options.budget import candidates_of, limits_of
from tuner.options.search import SearchOptions, storage_url
from tuner.workflows.search import Watcher, compute_reference, settled, versions


@dataclass(frozen=True)
class Plan:
    """What a search would do.

    `study` is what it would go on with or begin, `records` the trials that are there already, and `trials`
    those there would be in the end.
    """

    spec: StudySpec
    rigour: Rigour
    limits: Limits
    study: str
    exists: bool
    records: tuple[TrialRecord, ...] = ()

    @property
    def trials(self) -> int:
        """In all, the baseline included."""
        return min(self.limits.trials, candidates_of(self.spec))


@dataclass(frozen=True)
class Prediction:
    """The baseline, and the time that the search will take; `forecast` is None where the baseline failed.

    `known` says that the baseline was measured before, `stopped` that nobody waited for it, and `problem`
    why it cannot be run.
    """

    baseline: TrialRecord | None = None
    forecast: Forecast | None = None
    known: bool = False
    stopped: bool = False
    problem: UserError | None = None


@dataclass(frozen=True)
class Draft:
    """A plan with what it takes to measure its baseline."""

    plan: Plan
    options: SearchOptions
    storage: Storage
    worker: Worker
    question: Question

    def predict(self, watcher: Watcher) -> Prediction:
        """Measures the baseline as trial 0 of the study where that was not done; an interrupt ends it."""
        plan, known = self.plan, self._known()
        if known is not None:
            records = plan.records or (known,)
            return Prediction(known, self._forecast(records), known=True)
        try:
            baseline = self._measure(watcher)
        except (Interrupted, KeyboardInterrupt):
            self.worker.kill()
            return Prediction(stopped=True)
        except UserError as error:
            return Prediction(problem=error)
        return Prediction(baseline, self._forecast((baseline,)))

    def _forecast(self, records: tuple[TrialRecord, ...]) -> Forecast | None:
        plan = self.plan
        return forecast(plan.spec, extent_of(plan.spec.space), records, plan.rigour, plan.trials)

    def _known(self) -> TrialRecord | None:
        """The baseline as this study measured it, or another where the search would take it from there."""
        if self.plan.records:
            return self.plan.records[0]
        if self.options.place.remeasure:
            return None
        spec = self.plan.spec
        found = self.storage.find_evaluation(evaluation_key(spec, spec.baseline))
        if found is None or found.measurement is None:
            return None
        state, metrics, violations = judge(found, spec.constraints)
        seconds = sum(found.stage_seconds.values())
        return TrialRecord(
            0, spec.baseline, state, metrics, violations, found, datetime.now(UTC), seconds, reused=True
        )

    def _measure(self, watcher: Watcher) -> TrialRecord:
        plan = self.plan
        compute_reference(self.worker, self.question, watcher)
        if not plan.exists:
            # the study that the search goes on with is to begin as its own would
            taught = begun_with(self.storage, plan.spec, plan.study, None, self.options.place.prior)
            self.storage.create_study(plan.study, plan.spec, versions(), priors_of(taught))
        observer = _OfBaseline(watcher)
        seed, remeasure = self.options.request.seed, self.options.place.remeasure
        owner = Owner(plan.study, plan.spec, self.storage, self.worker, observer, seed, remeasure)
        # with a Stop of its own: a search would finish the trial first, a plan is not worth waiting for
        owner.run(Limits(1, trial_seconds=self.options.budget.trial_timeout), Stop())
        return self.storage.read_study(plan.study).trials[0]


@dataclass(frozen=True)
class _OfBaseline:
    """Shows the one trial as what is done before the first."""

    watcher: Watcher

    def started(self, number: int, candidate: Candidate) -> None:
        self.stage(number, "prepare")

    def stage(self, number: int, stage: Stage, detail: str = "") -> None:
        self.watcher.preparing(f"the baseline: {DOING[stage]}")

    def finished(self, record: TrialRecord) -> None: ...

    def note(self, text: str) -> None:
        self.watcher.note(text)

    def preparing(self, what: str) -> None:
        self.watcher.preparing(what)

    def expecting(self, left: Left) -> None: ...


@contextmanager
def drafted(options: SearchOptions, watcher: Watcher) -> Iterator[Draft]:
    """The plan, with the backend kept open; raises UserError for what the search would refuse."""
    workspace = Workspace(options.place.workspace).create()
    with (
        open_storage(storage_url(options.place.workspace, options.place.storage)) as storage,
        settled(options, workspace, watcher) as (question, worker, spec),
    ):
        for note in question.notes:
            watcher.note(note)
        rigour = fitting(options.rigour, spec.objectives)
        limits = limits_of(options.budget, spec, rigour)
        name, exists = choose_study(storage, spec, options.place.study, options.place.mode)
        plan = Plan(spec, rigour, limits, name, exists)
        if exists:
            plan = replace(plan, records=storage.read_study(name).trials)
        yield Draft(plan, options, storage, worker, question)
