"""Ways to search, all behind `ask` and `tell`; each sees only what it is told.

`told` are the observations of what was asked for, and of the baseline before anything else.
"""

import itertools
import math
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from benchmarks.search.world import World, is_feasible
from engines.core.values import Value
from studies.search.observations import Earlier, Observation


class Strategy(Protocol):
    def ask(self) -> int | None:
        """The place to try next; None where there is nothing left that it would try."""

    def tell(self, observation: Observation) -> None: ...

    def left(self, least: float) -> tuple[float, float] | None:
        """The gain still expected and the chance of more than the least; None where it does not say."""


Make = Callable[[World, int, Sequence[Earlier]], Strategy]
# yields places, and is sent what came of them; the first thing sent is the baseline's
Walk = Generator[int | None, Observation, None]

# of each dimension, so many choices are combined once each was tried alone
BEST_CHOICES = 2


class Walking:
    """A strategy written as a generator."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        next(walk)
        self._next: int | None = None

    def ask(self) -> int | None:
        return self._next

    def tell(self, observation: Observation) -> None:
        try:
            self._next = self._walk.send(observation)
        except StopIteration:
            self._next = None

    def left(self, least: float) -> None:
        return None


class Ours:
    """The tuner's own; with `earlier` it knows other studies, with `advised` what vendors advise."""

    def __init__(
        self,
        world: World,
        seed: int,
        earlier: Sequence[Earlier] = (),
        *,
        fixed_share: float | None = None,
        advised: bool = True,
    ) -> None:
        from studies.search.searcher import CostWeight, Searcher

        self._world = world
        self._searcher = Searcher(
            world.space,
            [one.direction for one in world.objectives],
            len(world.constraints),
            seed,
            metrics=[one.metric for one in world.objectives] if advised else (),
            earlier=earlier,
            listed=None if world.is_whole else world.listed,
            cost_weight=CostWeight() if fixed_share is None else CostWeight(fixed_share),
        )

    def ask(self) -> int | None:
        return None if self._searcher.is_exhausted else self._world.index_of(self._searcher.suggest())

    def tell(self, observation: Observation) -> None:
        self._searcher.mark_seen(observation.candidate.settings)
        self._searcher.add(observation)

    def left(self, least: float) -> tuple[float, float] | None:
        left = self._searcher.left_to_gain(least)
        return None if left is None else (left.gain, left.chance)


def _random(world: World, random: np.random.Generator) -> Walk:
    yield None
    yield from (index for index in random.permutation(world.inside).tolist() if index != 0)


def rest(world: World, seed: int, seen: Collection[int]) -> Strategy:
    """All that was not seen, at random."""

    def walk() -> Walk:
        yield None
        for index in np.random.default_rng([seed, 2]).permutation(world.inside).tolist():
            if index not in seen:
                yield index

    return Walking(walk())


def _grid(world: World) -> Walk:
    yield None
    yield from (index for index in world.inside if index != 0)


def _one_at_a_time(world: World, random: np.random.Generator) -> Walk:
    """Each dimension alone from the best so far, then the best choices of each combined, then the rest."""
    baseline = yield None
    seen = {0}
    best, least = world.places[0].candidate.settings, loss(world, baseline)
    ranked: dict[str, list[Value]] = {}
    for dimension in world.searched:
        by_choice = {best[dimension.name]: least}
        for choice in dimension.choices:
            index = world.nearest({**best, dimension.name: choice}, random) if choice not in by_choice else 0
            if index in seen:
                continue
            seen.add(index)
            observation = yield index
            by_choice[choice] = loss(world, observation)
        ranked[dimension.name] = sorted(by_choice, key=lambda one: by_choice[one])
        chosen = ranked[dimension.name][0]
        if by_choice[chosen] < least:
            best, least = {**best, dimension.name: chosen}, by_choice[chosen]
    product = itertools.product(*(list(enumerate(ranked[one.name][:BEST_CHOICES])) for one in world.searched))
    for chosen_ones in sorted(product, key=lambda some: sum(rank for rank, _ in some)):
        point = dict(zip(ranked, (choice for _, choice in chosen_ones), strict=True))
        index = world.nearest(point, random)
        if index not in seen:
            seen.add(index)
            yield index
    for index in random.permutation([index for index in world.inside if index not in seen]).tolist():
        yield index


def loss(world: World, observation: Observation) -> float:
    """The first objective so turned that less is better; infinite where the observation is not feasible."""
    if observation.values is None or not is_feasible(observation):
        return math.inf
    value = observation.values[0]
    return value if world.objectives[0].direction == "minimize" else -value


def _optuna(world: World, name: str, seed: int, *, distinct: bool = False, advised: bool = False) -> Strategy:
    from benchmarks.search.optuna_strategies import Sampling

    return Sampling(name, world, seed, distinct=distinct, advised=advised)


def missing(name: str) -> str | None:
    """What has to be installed for the strategy; None where it can be had."""
    needs = {
        "gp": ("torch", "scipy"),
        "ours": ("studies.search.searcher",),
        "ours-earlier": ("studies.search.searcher",),
    }
    without = [one for one in needs.get(name, ()) if not _found(one)]
    return ", ".join(without) or None


def _found(module: str) -> bool:
    return find_spec(module) is not None


STRATEGIES: Mapping[str, Make] = {
    "random": lambda world, seed, _: Walking(_random(world, np.random.default_rng([seed, 1]))),
    "grid": lambda world, _, __: Walking(_grid(world)),
    "one-at-a-time": lambda world, seed, _: Walking(_one_at_a_time(world, np.random.default_rng([seed, 1]))),
    "tpe": lambda world, seed, _: _optuna(world, "tpe", seed),
    "tpe-distinct": lambda world, seed, _: _optuna(world, "tpe", seed, distinct=True),
    "gp": lambda world, seed, _: _optuna(world, "gp", seed),
    "nsga2": lambda world, seed, _: _optuna(world, "nsga2", seed),
    "ours": lambda world, seed, _: Ours(world, seed),
    "ours-earlier": Ours,
    # what the search is worth without being told, and Optuna's with
    "ours-unadvised": lambda world, seed, _: Ours(world, seed, advised=False),
    "tpe-advised": lambda world, seed, _: _optuna(world, "tpe", seed, distinct=True, advised=True),
    # the only choice of ours that is made by this contest
    "ours-by-trial": lambda world, seed, _: Ours(world, seed, fixed_share=1e6),
    "ours-by-second": lambda world, seed, _: Ours(world, seed, fixed_share=0.0),
}
SINGLE = ("random", "grid", "one-at-a-time", "tpe", "tpe-distinct", "gp", "ours")
PARETO = ("random", "tpe", "nsga2", "ours")
