"""Estimate from repeated measurements of the baseline how noisy a device is (A/A self-test), and its drift.

The baseline is measured several times as if it were different candidates: loaded, warmed up and timed anew.
The differences are noise, and no smaller difference between engines can be detected.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from engines.statistics.distributions import student_t
from engines.statistics.estimates import WIDEST, Estimate, with_log_half_width
from studies.core.metrics import is_timed, value_of
from studies.core.records import RepeatRecord, StudyRecord, TrialRecord

# fewer runs give no usable spread
FEWEST_RUNS = 3


@dataclass(frozen=True)
class Noise:
    """The noise between repeated measurements of one engine.

    `spread` is the standard deviation of the logarithm from run to run, `between` the part of it that a
    single measurement cannot see in its own blocks, and `detectable` the smallest relative difference
    between two engines, measured once each, that is found in 19 of 20 cases.
    """

    spread: float
    between: float
    runs: int
    detectable: float

    @property
    def freedom(self) -> int:
        """Return the degrees of freedom of the spread."""
        return self.runs - 1


def noise_of(values: Sequence[Estimate]) -> Noise | None:
    """Return the noise of repeated measurements; None for fewer than three positive values."""
    usable = [one for one in values if one.value > 0 and math.isfinite(one.value)]
    if len(usable) < FEWEST_RUNS:
        return None
    spread = float(np.std(np.log([one.value for one in usable]), ddof=1))
    # a half-width is about two standard errors
    within = np.mean([((one.relative_half_width or 0.0) / 2) ** 2 for one in usable])
    between = math.sqrt(max(0.0, spread**2 - float(within)))
    return Noise(spread, between, len(usable), math.expm1(min(WIDEST, _detectable(spread, len(usable) - 1))))


def widened(estimate: Estimate, noise: Noise | None) -> Estimate:
    """The estimate with an interval that also allows for what differs from run to run.

    Half-widths, in the logarithm, add in quadrature. As it is without noise or without an interval.
    """
    half_width = estimate.relative_half_width
    if noise is None or half_width is None or estimate.value <= 0:
        return estimate
    total = math.hypot(half_width, student_t(0.975, noise.freedom) * noise.between)
    return with_log_half_width(estimate.value, total)


def _detectable(spread: float, freedom: int) -> float:
    """Return the difference of logarithms that two single runs show at the 5 % level with a power of 95 %.

    J. Cohen, Statistical Power Analysis, 2.4, with Student's t for both quantiles.
    """
    return (student_t(0.975, freedom) + student_t(0.95, freedom)) * spread * math.sqrt(2)


@dataclass(frozen=True)
class BaselineRun:
    """The baseline measured once; `role` is None for trial 0 itself."""

    at: datetime
    role: str | None
    value: Estimate


@dataclass(frozen=True)
class Drift:
    """How the baseline changed while the study ran, as a straight line through the logarithms.

    `change` is the ratio of its end to its beginning, `hours` the time between, and `significant` says
    that the interval excludes 1.
    """

    runs: tuple[BaselineRun, ...]
    change: Estimate
    hours: float

    @property
    def significant(self) -> bool:
        return (
            self.change.low is not None
            and self.change.high is not None
            and not (self.change.low <= 1 <= self.change.high)
        )

    def level(self, at: datetime) -> float:
        """Return the baseline at that time, relative to the study's beginning; 1 if the drift is not
        significant.
        """
        return self._level(min(1.0, max(0.0, self._passed(at))))

    def expected_level(self, at: datetime) -> float:
        """Return the same, extrapolated if the time is after the last run."""
        return self._level(max(0.0, self._passed(at)))

    def freed(self, estimate: Estimate, at: datetime) -> Estimate:
        """Return the trial's estimate, corrected to the study's beginning."""
        level = self.level(at)
        low, high = (None if bound is None else bound / level for bound in (estimate.low, estimate.high))
        return Estimate(estimate.value / level, low, high)

    def _passed(self, at: datetime) -> float:
        """Return the time since the first run, divided by that from the first run to the last."""
        return (at - self.runs[0].at).total_seconds() / 3600 / self.hours if self.hours else 0.0

    def _level(self, passed: float) -> float:
        return float(self.change.value**passed) if self.significant else 1.0


def freed(estimate: Estimate, trial: TrialRecord, change: Drift | None) -> Estimate:
    """The trial's estimate as it would have been at the study's beginning."""
    if change is None or trial.reused:
        return estimate
    return change.freed(estimate, _measured_at(trial))


def _measured_at(trial: TrialRecord) -> datetime:
    """Return when the trial's measurement ended, which may be another trial's."""
    if trial.same_as is None or trial.measurement is None:
        return trial.started_at + timedelta(seconds=trial.seconds)
    return datetime.fromtimestamp(trial.measurement.blocks[-1].started_at, UTC)


def baseline_runs(
    trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord], metric: str
) -> tuple[BaselineRun, ...]:
    """Return the measurements of the baseline in order; one reused from another study does not count."""
    found = [
        BaselineRun(trial.started_at + timedelta(seconds=trial.seconds), None, trial.metrics[metric])
        for trial in trials[:1]
        if metric in trial.metrics and not trial.reused
    ]
    for repeat in repeats:
        value = value_of(repeat.evaluation, metric)
        if repeat.role in ("self-test", "anchor") and value is not None:
            found.append(BaselineRun(repeat.started_at, repeat.role, value))
    return tuple(found)


# a study's trials (the baseline first) and what was measured again of it
RunsOfBaseline = tuple[Sequence[TrialRecord], Sequence[RepeatRecord]]


def home_of(trials: Iterable[TrialRecord], repeats: Iterable[RepeatRecord]) -> str:
    """Return the study's own device: that of the first row that names one; "" if none does."""
    return next((one.device for rows in (trials, repeats) for one in rows if one.device), "")


def on_device(
    device: str, home: str, trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord]
) -> RunsOfBaseline:
    """Return the baseline's trial if it ran on the device, and its repeats there.

    Rows of older versions name no device (""), and count as measured on the study's own, `home`.
    """
    baseline = [one for one in trials[:1] if (one.device or home) == device]
    return baseline, [one for one in repeats if (one.device or home) == device]


def noise(study: StudyRecord) -> Noise | None:
    """Return the noise of the first objective on the study's own device; None without a self-test."""
    return noise_in(*_at_home(study), study.spec.objectives[0].metric)


def noise_in(trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord], metric: str) -> Noise | None:
    """Return the noise in a metric; None for fewer than three runs, if all are equal, or if it is not timed.

    Anchors count as the self-test does, freed of a significant drift: a machine may keep to one level for as
    long as a self-test takes, and be at another when the next trial is measured.
    """
    runs = _timed_runs(trials, repeats, metric)
    change = _drift(runs)
    found = noise_of([run.value if change is None else change.freed(run.value, run.at) for run in runs])
    return found if found is not None and found.spread > 0 else None


def drift(study: StudyRecord) -> Drift | None:
    """Return the drift of the first objective on the study's own device; None if the baseline ran only at the
    beginning.
    """
    return drift_in(*_at_home(study), study.spec.objectives[0].metric)


def _at_home(study: StudyRecord) -> RunsOfBaseline:
    home = home_of(study.trials, study.repeats)
    return on_device(home, home, study.trials, study.repeats)


def drift_in(trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord], metric: str) -> Drift | None:
    """Return the drift in a metric; None if there is no later run, or it is not timed."""
    return _drift(_timed_runs(trials, repeats, metric))


def _timed_runs(
    trials: Sequence[TrialRecord], repeats: Sequence[RepeatRecord], metric: str
) -> tuple[BaselineRun, ...]:
    """Return the runs of the baseline in a metric that differs from run to run."""
    return baseline_runs(trials, repeats, metric) if is_timed(metric) else ()


def _drift(runs: Sequence[BaselineRun]) -> Drift | None:
    runs = tuple(run for run in runs if run.value.value > 0)
    if len(runs) < 3 or not any(run.role == "anchor" for run in runs):
        return None
    hours = np.array([(run.at - runs[0].at).total_seconds() / 3600 for run in runs])
    logs = np.log([run.value.value for run in runs])
    centred = hours - hours.mean()
    moment = float((centred**2).sum())
    if moment == 0:
        return None
    slope = float(centred @ logs) / moment
    rest = logs - logs.mean() - slope * centred
    freedom = len(runs) - 2
    error = math.sqrt(float(rest @ rest) / freedom / moment)
    span = float(hours[-1])
    change, half_width = slope * span, student_t(0.975, freedom) * error * span
    return Drift(runs, with_log_half_width(math.exp(change), half_width), span)
