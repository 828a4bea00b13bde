"""A search before it begins: what it would do, and how long that takes once its baseline was measured.

The baseline is trial 0 of the study that the search goes on with, so nothing is measured for the plan alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from engines.core.errors import Interrupted, UserError
from studies.analysis.forecast import Forecast, extent_of, forecast
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.core.identity import evaluation_key
from studies.core.objectives import judge
from studies.core.records import StudySpec, TrialRecord
from studies.run.interfaces import Observer
from studies.run.limits import Limits, Stop
from studies.run.opening import Opening
from studies.search.transfer.find import begun_with
from studies.setup.naming import choose_study
from tuner.options.budget import candidates_of, limits_of
from tuner.options.search import SearchOptions
from tuner.workflows.search import opened_for


@dataclass(frozen=True)
class Plan:
    """What a search would do.

    `study` is what it would go on with or begin, `records` the trials that are there already, and `trials`
    those there would be in the end.
    """

    spec: StudySpec
    measurement_plan: MeasurementPlan
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
    opening: Opening

    def predict(self, observer: Observer) -> Prediction:
        """Measure the baseline as trial 0 of the study where that was not done; an interrupt ends it."""
        plan, known = self.plan, self._known()
        if known is not None:
            records = plan.records or (known,)
            return Prediction(known, self._forecast(records), known=True)
        try:
            baseline = self._measure(observer)
        except (Interrupted, KeyboardInterrupt):
            return Prediction(stopped=True)
        except UserError as error:
            return Prediction(problem=error)
        return Prediction(baseline, self._forecast((baseline,)))

    def _forecast(self, records: tuple[TrialRecord, ...]) -> Forecast | None:
        plan = self.plan
        return forecast(plan.spec, extent_of(plan.spec.space), records, plan.measurement_plan, plan.trials)

    def _known(self) -> TrialRecord | None:
        """Return the baseline from this study, or from one whose results the search would reuse."""
        if self.plan.records:
            return self.plan.records[0]
        if self.options.place.remeasure:
            return None
        spec = self.plan.spec
        found = self.opening.storage.find_evaluation(evaluation_key(spec, spec.baseline))
        if found is None or found.measurement is None:
            return None
        state, metrics, violations = judge(found, spec.constraints)
        seconds = sum(found.stage_seconds.values())
        return TrialRecord(
            0, spec.baseline, state, metrics, violations, found, datetime.now(UTC), seconds, reused=True
        )

    def _measure(self, observer: Observer) -> TrialRecord:
        plan, place = self.plan, self.options.place
        opening = replace(self.opening, observer=observer)
        opening.compute_reference()
        if not plan.exists:
            # the study that the search goes on with is to begin as its own would
            taught = begun_with(opening.storage, plan.spec, plan.study, None, place.prior)
            opening.create_study(plan.study, taught)
        loop = opening.loop(plan.study, self.options.request.seed, remeasure=place.remeasure)
        limits = Limits(1, trial_seconds=self.options.budget.trial_timeout)
        # with a Stop of its own: a search would finish the trial first, a plan is not worth waiting for
        replace(loop, measurement_plan=TRIALS_ALONE).run(limits, Stop())
        return opening.storage.read_study(plan.study).trials[0]


@contextmanager
def drafted(options: SearchOptions, observer: Observer) -> Iterator[Draft]:
    """Return the plan, with the backend kept open; raises UserError for what the search would refuse."""
    with opened_for(options, observer) as opening:
        for note in opening.question.notes:
            observer.note(note)
        limits = limits_of(options.budget, opening.spec, opening.measurement_plan)
        name, exists = choose_study(opening.storage, opening.spec, options.place.study, options.place.mode)
        plan = Plan(opening.spec, opening.measurement_plan, limits, name, exists)
        if exists:
            plan = replace(plan, records=opening.storage.read_study(name).trials)
        yield Draft(plan, options, opening)
