"""Track the progress of a running search: the best so far against the baseline, and the time left."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from engines.statistics.estimates import Estimate
from studies.analysis.forecast import Extent, Forecast, always_held, extent_of, forecast
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.core.records import Objective, StudySpec, TrialRecord
from studies.search.stopping import Left


@dataclass
class Progress:
    """What is known after each trial of a run, which may resume an earlier one.

    `trials` and `seconds` are the limits of the search, the finals not included; `min_gain` is the least that
    is worth going on for (None for anything), and `left` what is still to be gained, None before it is known.
    """

    spec: StudySpec
    trials: int
    seconds: float | None = None
    measurement_plan: MeasurementPlan = TRIALS_ALONE
    finished: int = 0
    failed: int = 0
    infeasible: int = 0
    baseline: Estimate | None = None
    best: Estimate | None = None
    best_number: int | None = None
    min_gain: float | None = None
    left: Left | None = None
    _records: list[TrialRecord] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._extent: Extent = extent_of(self.spec.space)
        self._forecast: Forecast | None = None

    @property
    def objective(self) -> Objective:
        """Return the first objective."""
        return self.spec.objectives[0]

    def add_all(self, records: Iterable[TrialRecord]) -> None:
        """Add the trials of an earlier run."""
        for record in records:
            self._count(record)
        self._look_ahead()

    def add(self, record: TrialRecord) -> None:
        self._count(record)
        self._look_ahead()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._begun

    @property
    def speedup(self) -> float | None:
        """Return how many times better the best is than the baseline; None until both are known.

        Without an interval: the best so far is the luckiest so far, and the verdict comes at the end.
        """
        if self.baseline is None or self.best is None or not self.best.value or not self.baseline.value:
            return None
        ratio = self.best.value / self.baseline.value
        return ratio if self.objective.direction == "maximize" else 1 / ratio

    def seconds_left(self) -> float | None:
        """Estimate the seconds left from the trials so far, finals included; None before anything was
        measured.

        With a time limit the search is cut short, and the finals to the sessions that are always held.
        """
        ahead = self._forecast
        if ahead is None or self.finished >= self.trials:
            return None
        searching, finals = ahead.searching.expected, ahead.finals.expected
        if self.seconds is None or searching <= self.seconds - self.elapsed:
            return searching + finals
        return max(0.0, self.seconds - self.elapsed) + always_held(self.measurement_plan) * finals

    def _look_ahead(self) -> None:
        self._forecast = forecast(self.spec, self._extent, self._records, self.measurement_plan, self.trials)

    def _count(self, record: TrialRecord) -> None:
        self._records.append(record)
        self.finished += 1
        self.failed += record.state == "failed"
        self.infeasible += record.state == "infeasible"
        value = record.metrics.get(self.objective.metric)
        if record.number == 0:
            self.baseline = value
        if record.state == "feasible" and value is not None and self._is_better(value):
            self.best, self.best_number = value, record.number

    def _is_better(self, value: Estimate) -> bool:
        if self.best is None:
            return True
        if self.objective.direction == "maximize":
            return value.value > self.best.value
        return value.value < self.best.value
