"""The trials that a search learns from, as numbers: logarithms by the baseline's, less being better."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies import space as spaces
from studies.acquisition import front_of
from studies.encoding import Codes, Encoding, Matrix
from studies.observations import Earlier, Observation
from studies.records import Direction
from studies.surrogate import Data, Vector

# metrics that may be zero have no logarithm there
SMALLEST = 1e-12
# a constraint that is kept or missed by more than this (as a logarithm) teaches no more
FARTHEST_KEPT, FARTHEST_MISSED = -2.0, 3.0
# margins are counted from where a constraint is kept by far, which is what is believed of what is not known
LIMIT = -FARTHEST_KEPT
MARGIN_VARIANCE = 0.05**2
FAILURE_VARIANCE = 0.05**2
# more trials than these cost more time than they tell; of others the best are kept, and some of the rest
MOST_KNOWN = 200
OWN = 0


@dataclass(frozen=True)
class _Trial:
    """An observation; `row` is None outside of the space, `values` where there are none."""

    row: tuple[int, ...] | None
    values: tuple[float, ...] | None
    variances: tuple[float, ...]
    margins: tuple[float | None, ...]
    is_failed: bool
    model: int
    likeness: float

    @property
    def is_feasible(self) -> bool:
        """Whether it may be the best: what is not known of a constraint is taken for kept."""
        return self.values is not None and all(margin is None or margin <= LIMIT for margin in self.margins)


class Memory:
    """All trials of the study, and of earlier ones on the same machine."""

    def __init__(
        self,
        encoding: Encoding,
        directions: Sequence[Direction],
        constraints: int,
        earlier: Sequence[Earlier],
    ) -> None:
        self._encoding, self._constraints = encoding, constraints
        self._signs = np.array([1.0 if direction == "minimize" else -1.0 for direction in directions])
        self._trials: list[_Trial] = []
        self._own: list[_Trial] = []
        self._level: Vector | None = None
        for model, study in enumerate(earlier, 1):
            self._add_earlier(model, study)

    def __len__(self) -> int:
        return min(len(self._trials), MOST_KNOWN)

    @property
    def is_telling(self) -> bool:
        """Whether there is anything to learn from."""
        return bool(self._told())

    @property
    def any_failed(self) -> bool:
        return any(trial.is_failed for trial in self._trials)

    def add(self, observation: Observation) -> tuple[int, ...] | None:
        """Takes a trial, the baseline first; gives its row, None where it lies outside of the space."""
        if self._level is None and observation.values is not None:
            self._level = self._logs(observation.values)
        level = self._level if self._level is not None else np.zeros(len(self._signs))
        trial = self._trial(observation, level, OWN, 1.0)
        self._own.append(trial)
        if trial.row is not None:
            self._trials.append(trial)
        return trial.row

    def objective(self, number: int) -> Data:
        """What is known of an objective, in the order of `smoothed` values elsewhere."""
        told = self._told()
        values = [trial.values[number] for trial in told if trial.values]
        return _data(told, values, [trial.variances[number] for trial in told])

    def knows_margin(self, number: int) -> bool:
        return any(trial.margins and trial.margins[number] is not None for trial in self._trials)

    def margin(self, number: int) -> Data:
        """By how much a constraint is missed, counted from far below its limit."""
        known = [one for one in self._trials if one.margins and one.margins[number] is not None]
        found = [margin for one in known if (margin := one.margins[number]) is not None]
        return _fewer(_data(known, found, [MARGIN_VARIANCE] * len(known)))

    def failures(self) -> Data:
        """1 for a trial that failed, 0 for others."""
        failed = [float(trial.is_failed) for trial in self._trials]
        return _fewer(_data(self._trials, failed, [FAILURE_VARIANCE] * len(failed)))

    def best(self, smoothed: Matrix) -> Vector | None:
        """The least value of each objective among feasible trials; None where there is none."""
        values = self._feasible(smoothed)
        return values.min(axis=0) if len(values) else None

    def front(self, smoothed: Matrix) -> Matrix:
        """The feasible trials that no other beats, in two objectives."""
        return front_of(self._feasible(smoothed))

    def worst(self, smoothed: Matrix) -> Vector:
        """The largest value of each objective among feasible trials."""
        worst: Vector = self._feasible(smoothed).max(axis=0)
        return worst

    def best_rows(self, count: int) -> Codes:
        """The rows of the best feasible trials by each objective."""
        own = [one for one in self._trials if one.model == OWN and one.is_feasible]
        chosen = {
            trial.row
            for number in range(len(self._signs))
            for trial in sorted(own, key=lambda one: one.values[number] if one.values else 0.0)[:count]
        }
        rows = sorted(row for row in chosen if row is not None)
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self._encoding.searched))

    def _feasible(self, smoothed: Matrix) -> Matrix:
        """The values of feasible trials of this study, those outside of the space as they were measured."""
        inside = [
            values
            for trial, values in zip(self._told(), smoothed, strict=True)
            if trial.model == OWN and trial.is_feasible
        ]
        outside = [one.values for one in self._own if one.row is None and one.values and one.is_feasible]
        return np.array([*inside, *outside]).reshape(-1, len(self._signs))

    def _told(self) -> list[_Trial]:
        """The trials with values; the best and some of the others where there are many."""
        told = [trial for trial in self._trials if trial.values is not None]
        if len(told) <= MOST_KNOWN:
            return told
        order = sorted(range(len(told)), key=lambda place: told[place].values or ())
        best, others = order[: MOST_KNOWN // 2], sorted(order[MOST_KNOWN // 2 :])
        spread = np.linspace(0, len(others) - 1, MOST_KNOWN - len(best)).round().astype(int)
        return [told[place] for place in sorted({*best, *(others[one] for one in spread)})]

    def _add_earlier(self, model: int, study: Earlier) -> None:
        """Only ratios to the baseline are taken over, so a study without one tells nothing."""
        first = study.observations[0].values if study.observations else None
        if first is None:
            return
        level = self._logs(first)
        trials = [self._trial(one, level, model, study.similarity) for one in study.observations]
        self._trials += [trial for trial in trials if trial.row is not None]

    def _trial(self, observation: Observation, level: Vector, model: int, likeness: float) -> _Trial:
        settings = observation.candidate.settings
        inside = spaces.contains(self._encoding.whole, settings)
        values = observation.values
        return _Trial(
            row=self._encoding.codes(settings) if inside else None,
            values=None if values is None else tuple((self._logs(values) - level).tolist()),
            variances=observation.variances,
            margins=tuple(None if one is None else _counted(one) for one in observation.margins),
            is_failed=observation.failed is not None,
            model=model,
            likeness=likeness,
        )

    def _logs(self, values: Sequence[float]) -> Vector:
        logs: Vector = self._signs * np.log(np.maximum(values, SMALLEST))
        return logs


def _counted(margin: float) -> float:
    return min(max(margin, FARTHEST_KEPT), FARTHEST_MISSED) - FARTHEST_KEPT


def _data(trials: Sequence[_Trial], values: Sequence[float], variances: Sequence[float]) -> Data:
    return Data(
        rows=np.array([trial.row for trial in trials], dtype=np.int64),
        values=np.array(values),
        variances=np.array(variances),
        models=np.array([trial.model for trial in trials]),
        likeness=np.array([trial.likeness for trial in trials]),
    )


def _fewer(data: Data) -> Data:
    """All, or the last and some of the others."""
    count = len(data)
    if count <= MOST_KNOWN:
        return data
    late = np.arange(count - MOST_KNOWN // 2, count)
    early = np.linspace(0, late[0] - 1, MOST_KNOWN // 2).round()
    return data.only(np.concatenate([early, late]).astype(np.int64))
