"""Who is measured again before anything is called the winner."""

import math
from datetime import timedelta

from engines import statistics
from engines.statistics import Estimate
from studies.noise import Noise, widened
from studies.records import StudyRecord, TrialRecord
from studies.repeats import Drift, drift, noise


def finalists(study: StudyRecord, most: int) -> tuple[TrialRecord, ...]:
    """The best feasible trials whose intervals overlap the best one's, and the baseline, which is first.

    None where there is nothing to compare: no feasible trial beside the baseline that could be the best, no
    baseline, several objectives, or one that needs no statistics.
    """
    if len(study.spec.objectives) > 1 or study.spec.objectives[0].metric not in statistics.TIMINGS:
        return ()
    values = _values(study)
    if not values or study.trials[0].measurement is None or not most:
        return ()
    direction = study.spec.objectives[0].direction
    values.sort(key=lambda pair: pair[1].value if direction == "minimize" else -pair[1].value)
    best = values[0][1]
    chosen = [trial for trial, value in values if trial.number != 0 and _overlap(value, best)][:most]
    return (study.trials[0], *chosen) if chosen else ()


def _values(study: StudyRecord) -> list[tuple[TrialRecord, Estimate]]:
    """The objective of each feasible trial that was measured to the end, freed of drift."""
    metric = study.spec.objectives[0].metric
    machine_noise, machine_drift = noise(study), drift(study)
    return [
        (trial, _comparable(trial.metrics[metric], trial, machine_noise, machine_drift))
        for trial in study.trials
        if trial.state == "feasible" and metric in trial.metrics and not _is_behind(trial)
    ]


def _comparable(
    estimate: Estimate, trial: TrialRecord, machine_noise: Noise | None, machine_drift: Drift | None
) -> Estimate:
    measured_at = trial.started_at + timedelta(seconds=trial.seconds)
    level = machine_drift.level(measured_at) if machine_drift and not trial.reused else 1.0
    wide = widened(estimate, machine_noise)
    low, high = (None if bound is None else bound / level for bound in (wide.low, wide.high))
    return Estimate(wide.value / level, low, high)


def _is_behind(trial: TrialRecord) -> bool:
    return trial.measurement is not None and trial.measurement.behind


def _overlap(one: Estimate, other: Estimate) -> bool:
    return _bound(one.low, one) <= _bound(other.high, other) and _bound(other.low, other) <= _bound(
        one.high, one
    )


def _bound(bound: float | None, estimate: Estimate) -> float:
    return bound if bound is not None and math.isfinite(bound) else estimate.value
