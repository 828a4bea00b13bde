"""The trials that a search learns from, as numbers: relative to the baseline, less being better."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from studies.core import space as spaces
from studies.core.records import Direction
from studies.search.encoding import Codes, Encoding, Matrix
from studies.search.observations import Earlier, Observation
from studies.search.surrogate import Data, Vector

# what a metric that may be zero, such as an error, is taken for there: less makes no difference to anyone
SMALLEST = 1e-9
# a constraint that is kept or missed by more than this (as a logarithm) teaches no more
FARTHEST_KEPT, FARTHEST_MISSED = -2.0, 3.0
# margins are counted from where a constraint is kept by far, which is what is believed of what is not known
LIMIT = -FARTHEST_KEPT
MARGIN_VARIANCE = 0.05**2
# that one trial failed says little of the next, so it is told as chance has it
FAILURE_VARIANCE = 0.3**2
# an interval that says nothing
LARGEST_VARIANCE = 1.0
# more trials than these cost more time than they tell; of others the best are kept, and some of the rest
MOST_KNOWN = 200
OWN = 0


@dataclass(frozen=True)
class _Trial:
    """An observation of a study; `row` is None outside of the space."""

    row: tuple[int, ...] | None
    observation: Observation
    model: int
    likeness: float

    @property
    def values(self) -> tuple[float, ...] | None:
        return self.observation.values


class Memory:
    """All trials of the study, and of earlier ones on the same machine."""

    def __init__(
        self,
        encoding: Encoding,
        directions: Sequence[Direction],
        earlier: Sequence[Earlier] = (),
    ) -> None:
        self._encoding = encoding
        self._signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
        self._trials: list[_Trial] = []
        self._levels: dict[int, tuple[float, ...]] = {}
        for model, study in enumerate(earlier, 1):
            # only ratios to the baseline are taken over, so a study without one tells nothing
            if study.observations and study.observations[0].values is not None:
                for observation in study.observations:
                    self._add(observation, model, study.similarity)

    def __len__(self) -> int:
        return min(len(self._trials), MOST_KNOWN)

    @property
    def is_telling(self) -> bool:
        """Whether there is anything to learn from."""
        return bool(self._told())

    @property
    def any_failed(self) -> bool:
        return any(trial.observation.failed is not None for trial in self._inside())

    def add(self, observation: Observation) -> tuple[int, ...] | None:
        """Takes a trial, the baseline first; gives its row, None where it lies outside of the space."""
        return self._add(observation, OWN, 1.0)

    def correct(self, observations: Sequence[Observation]) -> None:
        """The trials of this study, in the order in which they were added, as they are known by now."""
        corrected = iter(observations)
        self._trials = [
            replace(trial, observation=next(corrected)) if trial.model == OWN else trial
            for trial in self._trials
        ]
        values = next((one.values for one in observations if one.values is not None), None)
        if values is not None:
            self._levels[OWN] = values

    def objective(self, number: int) -> Data:
        """What is known of an objective; other objectives are of the same trials, in the same order."""
        told = self._told()
        variances = [min(one.observation.variances[number], LARGEST_VARIANCE) for one in told]
        return _data(told, self._scaled(told)[:, number], variances)

    def knows_margin(self, number: int) -> bool:
        return bool(self._margins(number))

    def margin(self, number: int) -> Data:
        """By how much a constraint is missed, counted from far below its limit."""
        known = self._margins(number)
        return _fewer(_data([one for one, _ in known], [margin for _, margin in known], MARGIN_VARIANCE))

    def failures(self) -> Data:
        """1 for a trial that failed, 0 for others."""
        inside = self._inside()
        failed = [float(trial.observation.failed is not None) for trial in inside]
        return _fewer(_data(inside, failed, FAILURE_VARIANCE))

    def feasible(self, smoothed: Matrix) -> Matrix:
        """The values of feasible trials of this study; of those outside of the space as they were measured.

        `smoothed` are those of all trials that tell objectives, a row each.
        """
        inside = [
            values
            for trial, values in zip(self._told(), smoothed, strict=True)
            if trial.model == OWN and trial.observation.is_feasible
        ]
        outside = [
            one
            for one in self._trials
            if one.row is None and one.model == OWN and one.observation.is_feasible
        ]
        return np.array([*inside, *self._scaled(outside)]).reshape(-1, len(self._signs))

    def best_rows(self, count: int) -> Codes:
        """The rows of the best feasible trials by each objective."""
        own = [one for one in self._told() if one.model == OWN and one.observation.is_feasible]
        scaled = self._scaled(own)
        chosen = {
            own[place].row for column in scaled.T for place in np.argsort(column, kind="stable")[:count]
        }
        rows = sorted(row for row in chosen if row is not None)
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self._encoding.searched))

    def _add(self, observation: Observation, model: int, likeness: float) -> tuple[int, ...] | None:
        settings = observation.candidate.settings
        inside = spaces.contains(self._encoding.whole, settings)
        row = self._encoding.codes(settings) if inside else None
        self._trials.append(_Trial(row, observation, model, likeness))
        if observation.values is not None:
            self._levels.setdefault(model, observation.values)
        return row

    def _inside(self) -> list[_Trial]:
        return [trial for trial in self._trials if trial.row is not None]

    def _margins(self, number: int) -> list[tuple[_Trial, float]]:
        margins = [(one, one.observation.margins) for one in self._inside()]
        return [
            (one, min(max(margin, FARTHEST_KEPT), FARTHEST_MISSED) - FARTHEST_KEPT)
            for one, found in margins
            if found and (margin := found[number]) is not None
        ]

    def _told(self) -> list[_Trial]:
        """The trials with values: those of this study, then as many of others as there is room for."""
        told = [trial for trial in self._inside() if trial.values is not None]
        own = self._best_and_some([one for one in told if one.model == OWN])
        others = [one for one in told if one.model != OWN]
        return [*own, *(others[place] for place in _spread(len(others), MOST_KNOWN - len(own)))]

    def _best_and_some(self, trials: list[_Trial]) -> list[_Trial]:
        """All where there are few, else the best feasible ones and some of the rest."""
        if len(trials) <= MOST_KNOWN:
            return trials
        missed = np.array([not one.observation.is_feasible for one in trials])
        order = np.lexsort((self._scaled(trials)[:, 0], missed))
        best, rest = order[: MOST_KNOWN // 2], np.sort(order[MOST_KNOWN // 2 :])
        some = rest[_spread(len(rest), MOST_KNOWN - len(best))]
        return [trials[place] for place in sorted({*best.tolist(), *some.tolist()})]

    def _scaled(self, trials: Sequence[_Trial]) -> Matrix:
        """The objectives relative to the baseline's, a row for each trial.

        Logarithms of ratios, or differences by their own spread where one of the values is negative.
        """
        columns = [self._column(trials, number, sign) for number, sign in enumerate(self._signs)]
        return np.stack(columns, axis=1) if trials else np.zeros((0, len(self._signs)))

    def _column(self, trials: Sequence[_Trial], number: int, sign: float) -> Vector:
        values = np.array([one.values[number] for one in trials if one.values is not None])
        levels = np.array([self._levels[one.model][number] for one in trials])
        every = [one.values[number] for one in self._trials if one.values is not None]
        if min(every, default=1.0) >= 0:
            ratios: Vector = np.log(np.maximum(values, SMALLEST) / np.maximum(levels, SMALLEST))
            return sign * ratios
        differences: Vector = (values - levels) / (float(np.std(every)) or 1.0)
        return sign * differences


def worst_of(smoothed: Matrix) -> Vector:
    """Values that are worse than those of all trials."""
    least, most = smoothed.min(axis=0), smoothed.max(axis=0)
    worst: Vector = most + 0.1 * (most - least) + 0.1
    return worst


def _data(
    trials: Sequence[_Trial], values: Sequence[float] | Vector, variances: Sequence[float] | float
) -> Data:
    return Data(
        rows=np.array([trial.row for trial in trials], dtype=np.int64),
        values=np.array(values),
        variances=np.broadcast_to(np.array(variances), len(trials)),
        models=np.array([trial.model for trial in trials]),
        likeness=np.array([trial.likeness for trial in trials]),
    )


def _spread(count: int, most: int) -> list[int]:
    """At most so many places, from the first to the last."""
    if count <= most:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, max(most, 0)).round()]


def _fewer(data: Data) -> Data:
    """All, or the last and some of the others."""
    count = len(data)
    if count <= MOST_KNOWN:
        return data
    late = np.arange(count - MOST_KNOWN // 2, count)
    early = np.linspace(0, late[0] - 1, MOST_KNOWN // 2).round()
    return data.only(np.concatenate([early, late]).astype(np.int64))
