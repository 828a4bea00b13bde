"""What to try next: Optuna's TPE over the space, made never to ask for the same candidate twice.

TPE repeats itself in a discrete space (15 of 50 trials in one made-up landscape, and its maintainers keep it
so by design); where it does, a candidate that was not seen yet is drawn at random.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from engines.values import Dimension, Value
from studies import space as spaces

ATTEMPTS = 3
# enough random points for the model to start from, and few enough to leave it most of 50 trials
STARTUP_TRIALS = 10
# a space up to this size is listed to find what is left of it
LISTABLE = 100_000


class DistinctSampler(optuna.samplers.BaseSampler):
    """An inner sampler's suggestions without repetition; an ordinary Optuna sampler."""

    def __init__(self, space: Sequence[Dimension], seed: int) -> None:
        self._space = spaces.searched(space)
        self._size = spaces.size(self._space)
        self._random = np.random.default_rng(seed)
        self._seen: set[tuple[Value, ...]] = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._inner = optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=True
            )

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The searched dimensions as Optuna's distributions."""
        return {dimension.name: CategoricalDistribution(dimension.choices) for dimension in self._space}

    @property
    def is_exhausted(self) -> bool:
        """Whether every candidate was seen."""
        return len(self._seen) >= self._size

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        """Never to be suggested again; what lies outside the space is ignored."""
        point = tuple(settings.get(dimension.name, dimension.choices[0]) for dimension in self._space)
        if all(value in dimension.choices for value, dimension in zip(point, self._space, strict=True)):
            self._seen.add(point)

    def suggest(self, study: optuna.Study) -> dict[str, Any]:
        """The next point of the space."""
        trial = optuna.trial.create_trial(state=TrialState.RUNNING)
        return self.sample_relative(study, trial, self.distributions)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        for _ in range(ATTEMPTS):
            point = self._inner.sample_relative(study, trial, search_space)
            if not point:
                break
            if tuple(point[dimension.name] for dimension in self._space) not in self._seen:
                return point
        return self._unseen()

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def _unseen(self) -> dict[str, Any]:
        if self._size <= LISTABLE:
            left = [point for point in spaces.points(self._space) if tuple(point.values()) not in self._seen]
            return dict(left[int(self._random.integers(len(left)))])
        while True:
            point = {
                dimension.name: dimension.choices[int(self._random.integers(len(dimension.choices)))]
                for dimension in self._space
            }
            if tuple(point.values()) not in self._seen:
                return point
