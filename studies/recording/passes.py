"""Order the candidates of a recording: a whole space at first, then the best again in passes."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from engines.core.values import Candidate, Dimension, Value
from engines.landscapes.truths import centres_of
from studies.core import space as spaces
from studies.core.metrics import value_of
from studies.core.records import StudyRecord
from studies.core.space import Point
from studies.search.observations import Observation

# number of the best, greatest share of all candidates, and share of the passes
LEVELS = ((200, 1 / 3, 1), (100, 1 / 6, 2), (50, 1 / 12, 4))


def schedule(candidates: int, passes: int) -> list[tuple[int, int]]:
    """Return how many of the best are measured again, and in how many passes; the fewer, the more often."""
    left, weights, found = passes, sum(weight for *_, weight in LEVELS), []
    for most, share, weight in LEVELS:
        times = math.ceil(left * weight / weights)
        left, weights = left - times, weights - weight
        if times:
            found.append((max(1, min(most, int(candidates * share))), times))
    return found


def values_of(study: StudyRecord, before: float = math.inf) -> dict[int, float]:
    """Return the objective of each feasible trial over its runs in passes before that of the number.

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
    """Return the best feasible trials and the baseline, by the runs in passes before that of the number."""
    values = values_of(study, before)
    sign = 1 if study.spec.objectives[0].direction == "minimize" else -1
    best = sorted(values, key=lambda number: sign * values[number])[:count]
    return best if 0 in best or 0 not in values else [*best, 0]


def order_of(chosen: Sequence[int], number: int, seed: int) -> list[int]:
    """Return the chosen ones in the order of the pass of that number."""
    return [int(one) for one in np.random.default_rng([seed, number]).permutation(chosen)]


# a larger space is not listed but drawn from
MOST_LISTED = 50_000


class Listing:
    """Suggest the points of a list, one after another (see `studies.run.interfaces.Sampler`)."""

    def __init__(self, space: Sequence[Dimension], order: Sequence[Point]) -> None:
        self._space = tuple(space)
        self._left = {self._key(point): spaces.point_of(space, point) for point in order}

    @property
    def is_exhausted(self) -> bool:
        return not self._left

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        if spaces.contains(self._space, settings):
            self._left.pop(self._key(settings), None)

    def add(self, observation: Observation) -> None:
        """Never suggest this candidate again; results do not change the order."""
        self.mark_seen(observation.candidate.settings)

    def correct(self, observations: Sequence[Observation]) -> None:
        """Do nothing: results do not change the order."""

    def suggest(self, pending: Sequence[Candidate] = ()) -> dict[str, Value]:
        return dict(next(iter(self._left.values())))

    def left_to_gain(self, least: float) -> None:
        """Return None: a recording does not look for a gain."""

    def _key(self, point: Point) -> tuple[Value, ...]:
        return tuple(spaces.point_of(self._space, point).values())


def random_points(space: Sequence[Dimension], count: int, seed: int) -> list[Point]:
    """Return so many different points of the space in random order, or all that there are."""
    random, there = np.random.default_rng(seed), spaces.size(space)
    if there <= MOST_LISTED:
        every = list(spaces.points(space))
        return [every[place] for place in random.permutation(len(every))[:count]]
    found: dict[tuple[Value, ...], Point] = {}
    while len(found) < min(count, there):
        point = {one.name: one.choices[int(random.integers(len(one.choices)))] for one in space}
        # points that are the same candidate count once, as in a list
        if spaces.settled(space, point) == point:
            found.setdefault(tuple(point.values()), point)
    return list(found.values())
