"""Where a running search stands: the best so far against the baseline, and the time left."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from engines.statistics import Estimate
from studies.records import Objective, TrialRecord


@dataclass
class Standing:
    """What is known after each trial of a run that may go on behind an earlier one."""

    objective: Objective
    trials: int
    seconds: float | None = None
    finished: int = 0
    failed: int = 0
    infeasible: int = 0
    baseline: Estimate | None = None
    best: Estimate | None = None
    best_number: int | None = None
    _durations: list[float] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)

    def add_all(self, records: Iterable[TrialRecord]) -> None:
        """What an earlier run left; its durations say nothing of this one."""
        for record in records:
            self._count(record)

    def add(self, record: TrialRecord) -> None:
        self._count(record)
        # what was known before takes no time, and says nothing of the trials that are still to be made
        if not record.reused and record.evaluation.stage_seconds:
            self._durations.append(record.seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._begun

    @property
    def speedup(self) -> float | None:
        """The best by the baseline, more than 1 when better; None until both are known.

        Without an interval: the best so far is the luckiest so far, and the verdict comes at the end.
        """
        if self.baseline is None or self.best is None or not self.best.value or not self.baseline.value:
            return None
        ratio = self.best.value / self.baseline.value
        return ratio if self.objective.direction == "maximize" else 1 / ratio

    def seconds_left(self) -> float | None:
        """From the mean of the trials made so far, and never beyond the time limit; None before the first."""
        if not self._durations or self.finished >= self.trials:
            return None
        mean = sum(self._durations) / len(self._durations)
        left = max(0.0, (self.trials - self.finished) * mean)
        return left if self.seconds is None else min(left, max(0.0, self.seconds - self.elapsed))

    def _count(self, record: TrialRecord) -> None:
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
