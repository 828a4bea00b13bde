"""Select the finalists: the trials that are measured again before one is called the winner."""

import math

from engines.statistics.estimates import Estimate
from studies.belief.devices import beliefs
from studies.belief.measurement_plan import can_have_finals
from studies.core.records import StudyRecord, TrialRecord
from studies.finals.verdict import disproved


def finalists(study: StudyRecord, most: int) -> tuple[TrialRecord, ...]:
    """Return the best feasible trials whose intervals overlap the best one's, and the baseline, which is
    first.

    None where there is nothing to compare: no feasible trial beside the baseline that could be the best, no
    baseline, several objectives, or one that needs no statistics.
    """
    if not can_have_finals(study.spec.objectives):
        return ()
    values = _values(study)
    if not values or study.trials[0].measurement is None or not most:
        return ()
    direction = study.spec.objectives[0].direction
    values.sort(key=lambda pair: pair[1].value if direction == "minimize" else -pair[1].value)
    best = values[0][1]
    values = _unshared(values)
    chosen = [trial for trial, value in values if trial.number != 0 and _overlap(value, best)][:most]
    return (study.trials[0], *chosen) if chosen else ()


def _values(study: StudyRecord) -> list[tuple[TrialRecord, Estimate]]:
    """Return the objective of each feasible trial that was not pruned, corrected for drift."""
    metric = study.spec.objectives[0].metric
    believed, wrong = beliefs(study), disproved(study)
    return [
        (trial, believed.freed(believed.widened(trial.metrics[metric], trial), trial, metric))
        for trial in study.trials
        if trial.state == "feasible"
        and metric in trial.metrics
        and trial.number not in wrong
        and not _is_pruned(trial)
    ]


def _unshared(values: list[tuple[TrialRecord, Estimate]]) -> list[tuple[TrialRecord, Estimate]]:
    """Return the first of the trials that share a measurement: their engines are the same."""
    first: dict[int, tuple[TrialRecord, Estimate]] = {}
    for pair in sorted(values, key=lambda pair: pair[0].number):
        trial = pair[0]
        first.setdefault(trial.number if trial.same_as is None else trial.same_as, pair)
    kept = {trial.number for trial, _ in first.values()}
    return [pair for pair in values if pair[0].number in kept]


def _is_pruned(trial: TrialRecord) -> bool:
    return trial.measurement is not None and trial.measurement.pruned


def _overlap(one: Estimate, other: Estimate) -> bool:
    return _bound(one.low, one) <= _bound(other.high, other) and _bound(other.low, other) <= _bound(
        one.high, one
    )


def _bound(bound: float | None, estimate: Estimate) -> float:
    return bound if bound is not None and math.isfinite(bound) else estimate.value
