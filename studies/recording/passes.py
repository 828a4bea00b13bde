"""Measuring the best of a space again, in passes: which, how often, and in which order."""

import math
from collections.abc import Sequence

import numpy as np

from engines.landscapes.truths import centres_of
from studies.core.metrics import value_of
from studies.core.records import StudyRecord

# the best so many, at most this share of all, in this share of the passes
LEVELS = ((200, 1 / 3, 1), (100, 1 / 6, 2), (50, 1 / 12, 4))


def schedule(candidates: int, passes: int) -> list[tuple[int, int]]:
    """How many of the best are measured again, and in how many passes; the fewer, the more often."""
    left, weights, found = passes, sum(weight for *_, weight in LEVELS), []
    for most, share, weight in LEVELS:
        times = math.ceil(left * weight / weights)
        left, weights = left - times, weights - weight
        if times:
            found.append((max(1, min(most, int(candidates * share))), times))
    return found


def values_of(study: StudyRecord, before: float = math.inf) -> dict[int, float]:
    """The objective of each feasible trial over its runs in passes before that of the number.

    The median, each pass freed of its own level (see `engines.landscapes.truths`).
    """
    metric = study.spec.objectives[0].metric
    feasible = {trial.number for trial in study.trials if trial.state == "feasible"}
    runs = [(trial.number, 0, trial.evaluation) for trial in study.trials]
    runs += [(one.trial, one.session, one.evaluation) for one in study.repeats if one.role == "again"]
    valued = [(trial, turn, value_of(evaluation, metric)) for trial, turn, evaluation in runs]
    known = [
        (trial, turn, math.log(value.value))
        for trial, turn, value in valued
        if trial in feasible and turn < before and value is not None and value.value > 0
    ]
    if not known:
        return {}
    trials, turns, logs = (np.array(column) for column in zip(*known, strict=True))
    centres = centres_of(trials, turns, logs, int(trials.max()) + 1)
    return {int(trial): math.exp(centres[trial]) for trial in np.unique(trials)}


def best_of(study: StudyRecord, count: int, before: float = math.inf) -> list[int]:
    """The best feasible trials and the baseline, by the runs in passes before that of the number."""
    values = values_of(study, before)
    sign = 1 if study.spec.objectives[0].direction == "minimize" else -1
    best = sorted(values, key=lambda number: sign * values[number])[:count]
    return best if 0 in best or 0 not in values else [*best, 0]


def order_of(chosen: Sequence[int], number: int, seed: int) -> list[int]:
    """The chosen in the order of the pass of that number."""
    return [int(one) for one in np.random.default_rng([seed, number]).permutation(chosen)]
