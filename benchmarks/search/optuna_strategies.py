"""Optuna's samplers as somebody would use them: the defaults, an ordinary study, ask and tell."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState, create_trial

from benchmarks.search.world import World
from studies.search.encoding import Encoding
from studies.search.observations import Observation
from studies.search.ordering import Advice
from studies.search.pool import Pool

if TYPE_CHECKING:
    from optuna import Trial

# what cannot be measured is far from feasible, so that samplers learn of it
FAILED = 1e6


class Sampling:
    """An Optuna study of a world.

    What was not recorded becomes the nearest place that was; with `distinct`, so does what was tried before.
    With `advised` it begins with what vendors advise.
    """

    def __init__(self, name: str, world: World, seed: int, *, distinct: bool, advised: bool = False) -> None:
        self._world, self._distinct = world, distinct
        self._random = np.random.default_rng([seed, 1])
        self._unseen = np.ones(len(world.inside), dtype=bool)
        self._distributions: dict[str, BaseDistribution] = {
            one.name: CategoricalDistribution(one.choices) for one in world.searched
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = _sampler(name, seed)
        self._study = optuna.create_study(
            directions=[one.direction for one in world.objectives], sampler=sampler
        )
        for point in _advised(world) if advised else ():
            self._study.enqueue_trial(point)
        self._trial: Trial | None = None

    def ask(self) -> int | None:
        if self._distinct and not self._unseen.any():
            return None
        trial = self._trial = self._study.ask(self._distributions)
        index = self._world.index_of(trial.params)
        if index is None or (self._distinct and not self._unseen[self._world.inside.index(index)]):
            index = self._world.nearest(trial.params, self._random, self._unseen if self._distinct else None)
        self._correct(trial, self._world.point(index))
        return index

    def _correct(self, trial: "Trial", point: dict[str, Any]) -> None:
        """Makes the trial that of the point that is tried, or the sampler would learn of another."""
        for name, value in point.items():
            if trial.params[name] != value:
                distribution = self._distributions[name]
                internal = distribution.to_internal_repr(value)
                self._study._storage.set_trial_param(trial._trial_id, name, internal, distribution)

    def tell(self, observation: Observation) -> None:
        index = self._world.index_of(observation.candidate.settings)
        if index is not None:
            self._unseen[self._world.inside.index(index)] = False
        trial, self._trial = self._trial, None
        if trial is None:
            self._add(observation, index)
            return
        for name, value in self._constraints(observation).items():
            trial.set_constraint(name, value)
        if observation.values is None:
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, list(observation.values))

    def left(self, least: float) -> None:
        return None

    def _add(self, observation: Observation, index: int | None) -> None:
        """The baseline, which nobody asked for; what lies outside of the space would only be in the way."""
        if index is None:
            return
        failed = observation.values is None
        self._study.add_trial(
            create_trial(
                state=TrialState.PRUNED if failed else TrialState.COMPLETE,
                values=None if observation.values is None else list(observation.values),
                params=self._world.point(index),
                distributions=self._distributions,
                constraints=self._constraints(observation),
            )
        )

    def _constraints(self, observation: Observation) -> dict[str, float]:
        named = zip(self._world.constraints, observation.margins, strict=True)
        found = {str(constraint): FAILED if margin is None else margin for constraint, margin in named}
        return {"failed": FAILED, **found} if observation.values is None else found


def _advised(world: World) -> Iterator[dict[str, Any]]:
    """What ours begins with too."""
    encoding = Encoding(world.space)
    pool = Pool(encoding, np.random.default_rng(0), world.listed)
    for codes in Advice(encoding, [one.metric for one in world.objectives]).left:
        rows = pool.having(codes)
        if len(rows):
            yield encoding.point(rows[np.argmin(encoding.departures(rows))])


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "tpe":
        return TPESampler(seed=seed, multivariate=True)
    return GPSampler(seed=seed) if name == "gp" else NSGAIISampler(seed=seed)
