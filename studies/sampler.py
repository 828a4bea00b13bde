"""What to try next: Optuna's TPE over the space, made never to ask for the same candidate twice.

TPE repeats itself in a discrete space (15 of 50 trials in one made-up landscape, and its maintainers keep it
so by design); where it does, the candidate is one near its suggestion that was not seen yet.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from engines.values import Dimension, Value
from studies import space as spaces
from studies.records import Direction

# enough random points for the model to start from, and few enough to leave it most of 50 trials
STARTUP_TRIALS = 10
# so many steps miss what is left only where almost nothing is left, and then it is found by listing
STEPS = 200
SEEDS = 2**32


class DistinctSampler:
    """Suggests one candidate after another, and learns from the trials that it is given.

    Its memory is its own: what lies in a database is no faster, and others may write to it.
    """

    def __init__(self, space: Sequence[Dimension], directions: Sequence[Direction], seed: int) -> None:
        self._whole = tuple(space)
        self._space = spaces.searched(space)
        self._size = spaces.size(space)
        self._seen: set[tuple[Value, ...]] = set()
        self._random = np.random.default_rng(seed)
        self.distributions: dict[str, BaseDistribution] = {
            dimension.name: CategoricalDistribution(dimension.choices) for dimension in self._space
        }
        # nothing is in flight when it is asked, so there is nothing to lie about
        self._inner = TPESampler(
            seed=seed % SEEDS, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=False
        )
        self._memory = optuna.storages.InMemoryStorage()
        with unlogged():
            self._study = optuna.create_study(storage=self._memory, directions=directions)

    @property
    def is_exhausted(self) -> bool:
        """Whether every candidate was seen."""
        return len(self._seen) >= self._size

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        """Never to be suggested again; what lies outside the space is ignored."""
        if self.contains(settings):
            self._seen.add(self._key(settings))

    def contains(self, settings: Mapping[str, Value]) -> bool:
        """Whether the settings are a point of the space, its fixed dimensions included."""
        return spaces.contains(self._whole, settings)

    def add(self, trial: FrozenTrial) -> None:
        """Learns from a finished trial; one without a point of the space would only be in the way."""
        if trial.params.keys() == self.distributions.keys():
            self._study.add_trial(trial)

    def suggest(self) -> dict[str, Any]:
        """A point that was not seen; there must be one."""
        # a Study keeps to the trials that it read first, until it is asked for one or told of one
        study = optuna.load_study(
            study_name=self._study.study_name, storage=self._memory, sampler=self._inner
        )
        point = self._inner.sample_relative(study, _NOT_STARTED, self.distributions)
        return self._unseen_near(point or {one.name: self._choose(one.choices) for one in self._space})

    def _unseen_near(self, point: dict[str, Any]) -> dict[str, Any]:
        """The point, or where a random walk from it first meets one that was not seen."""
        for _ in range(STEPS):
            point = self.point_of(point)
            if self._key(point) not in self._seen:
                return point
            dimension = self._choose(self._space)
            point = {**point, dimension.name: self._choose(dimension.choices)}
        every = map(self.point_of, spaces.points(self._whole))
        return dict(self._choose([point for point in every if self._key(point) not in self._seen]))

    def point_of(self, point: Mapping[str, Value]) -> dict[str, Any]:
        """The searched part of the point, with the same value wherever a dimension means nothing."""
        whole = spaces.settled(self._whole, point)
        return {dimension.name: whole[dimension.name] for dimension in self._space}

    def _key(self, settings: Mapping[str, Value]) -> tuple[Value, ...]:
        return tuple(self.point_of(settings).values())

    def _choose(self, among: Sequence[Any]) -> Any:
        return among[int(self._random.integers(len(among)))]


@contextmanager
def unlogged() -> Iterator[None]:
    """Keeps Optuna's remarks on what it creates and finds from the user's terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


_NOT_STARTED = create_trial(state=TrialState.RUNNING)
