"""The trials that a search learns from, as numbers relative to the baseline; smaller is better."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from studies.core import space as spaces
from studies.core.records import Direction
from studies.search.encoding import Codes, Encoding, Matrix
from studies.search.observations import Earlier, Observation
from studies.search.surrogate import Data, Vector

# replaces zero in a metric such as an error: smaller values make no difference to users
SMALLEST = 1e-9
# constraint margins (logarithms) are clipped here: larger ones add no information
FARTHEST_KEPT, FARTHEST_MISSED = -2.0, 3.0
# margins count from a constraint met by far, which is the prior for untried candidates
LIMIT = -FARTHEST_KEPT
MARGIN_VARIANCE = 0.05**2
# one failure says little about the next trial, so its variance is wide
FAILURE_VARIANCE = 0.3**2
# the variance of an interval without information
LARGEST_VARIANCE = 1.0
# more trials cost more time than they are worth; beyond this the best and some of the rest are kept
MOST_KNOWN = 200
OWN = 0


@dataclass(frozen=True)
class _Trial:
    """An observation of a study; `row` is None outside the space."""

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
            # only ratios to the baseline are reused, so a study without a baseline is of no use
            if study.observations and study.observations[0].values is not None:
                for observation in study.observations:
                    self._add(observation, model, study.similarity)

    def __len__(self) -> int:
        return min(len(self._trials), MOST_KNOWN)

    @property
    def is_telling(self) -> bool:
        """Return whether there is anything to learn from."""
        return bool(self._reported())

    @property
    def any_failed(self) -> bool:
        return any(trial.observation.failed is not None for trial in self._inside())

    def add(self, observation: Observation) -> tuple[int, ...] | None:
        """Add a trial, the baseline first; returns its row, None outside the space."""
        return self._add(observation, OWN, 1.0)

    def correct(self, observations: Sequence[Observation]) -> None:
        """Replace the trials of this study, in the order in which they were added, by what is known of them
        now.
        """
        corrected = iter(observations)
        self._trials = [
            replace(trial, observation=next(corrected)) if trial.model == OWN else trial
            for trial in self._trials
        ]
        values = next((one.values for one in observations if one.values is not None), None)
        if values is not None:
            self._levels[OWN] = values

    def objective(self, number: int) -> Data:
        """Return the data of an objective; all objectives have the same trials in the same order."""
        reported = self._reported()
        variances = [min(one.observation.variances[number], LARGEST_VARIANCE) for one in reported]
        return _data(reported, self._scaled(reported)[:, number], variances)

    def knows_margin(self, number: int) -> bool:
        return bool(self._margins(number))

    def margin(self, number: int) -> Data:
        """Return by how much a constraint is missed, counted from far below its limit."""
        known = self._margins(number)
        return _fewer(_data([one for one, _ in known], [margin for _, margin in known], MARGIN_VARIANCE))

    def failures(self) -> Data:
        """Return 1 for a trial that failed, 0 for others."""
        inside = self._inside()
        failed = [float(trial.observation.failed is not None) for trial in inside]
        return _fewer(_data(inside, failed, FAILURE_VARIANCE))

    def feasible(self, smoothed: Matrix) -> Matrix:
        """Return the values of feasible trials of this study; those outside the space as they were measured.

        `smoothed` are those of all trials that tell objectives, a row each.
        """
        inside = [
            values
            for trial, values in zip(self._reported(), smoothed, strict=True)
            if trial.model == OWN and trial.observation.is_feasible
        ]
        outside = [
            one
            for one in self._trials
            if one.row is None and one.model == OWN and one.observation.is_feasible
        ]
        return np.array([*inside, *self._scaled(outside)]).reshape(-1, len(self._signs))

    def best_rows(self, count: int) -> Codes:
        """Return the rows of the best feasible trials by each objective."""
        own = [one for one in self._reported() if one.model == OWN and one.observation.is_feasible]
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

    def _reported(self) -> list[_Trial]:
        """Return the trials with values: those of this study, then as many of other studies as there is room
        for.
        """
        reported = [trial for trial in self._inside() if trial.values is not None]
        own = self._best_and_some([one for one in reported if one.model == OWN])
        others = [one for one in reported if one.model != OWN]
        return [*own, *(others[place] for place in _spread(len(others), MOST_KNOWN - len(own)))]

    def _best_and_some(self, trials: list[_Trial]) -> list[_Trial]:
        """Return all trials if they are few, else the best feasible ones and some of the rest."""
        if len(trials) <= MOST_KNOWN:
            return trials
        missed = np.array([not one.observation.is_feasible for one in trials])
        order = np.lexsort((self._scaled(trials)[:, 0], missed))
        best, rest = order[: MOST_KNOWN // 2], np.sort(order[MOST_KNOWN // 2 :])
        some = rest[_spread(len(rest), MOST_KNOWN - len(best))]
        return [trials[place] for place in sorted({*best.tolist(), *some.tolist()})]

    def _scaled(self, trials: Sequence[_Trial]) -> Matrix:
        """Return the objectives relative to the baseline's, a row for each trial.

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
    """Return values that are worse than those of all trials."""
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
    """Return at most so many evenly spread places, from the first to the last."""
    if count <= most:
        return list(range(count))
    return [int(place) for place in np.linspace(0, count - 1, max(most, 0)).round()]


def _fewer(data: Data) -> Data:
    """Return all, or the last and some of the others."""
    count = len(data)
    if count <= MOST_KNOWN:
        return data
    late = np.arange(count - MOST_KNOWN // 2, count)
    early = np.linspace(0, late[0] - 1, MOST_KNOWN // 2).round()
    return data.only(np.concatenate([early, late]).astype(np.int64))
