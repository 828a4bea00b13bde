"""One search after another, on a simulated clock."""

import math
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.search.fronts import Front
from benchmarks.search.strategies import Make, Strategy, Walking, loss, rest
from benchmarks.search.world import State, World, is_feasible
from studies.belief.measurement_plan import MeasurementPlan
from studies.search.observations import Earlier, Observation
from studies.search.stopping import FEWEST_TRIALS

# a search that has not come close by then goes on at random, as models grow slow and nobody waits
TIMES_TRIALS = 4
MEASUREMENT_PLAN = MeasurementPlan()


@dataclass(frozen=True)
class Until:
    """A search lasts this many trials, the baseline's among them, and these seconds of its clock, and then
    until it has come close or everything was tried. `min_gain` is what is worth searching on for.
    """

    trials: int
    seconds: float = 0.0
    min_gain: float = 0.01

    @property
    def own_trials(self) -> int:
        """After so many, a strategy that models what it was told makes way for random search."""
        return TIMES_TRIALS * self.trials


@dataclass(frozen=True)
class Search:
    """What one search did, an entry a trial; the first is the baseline's.

    `gaps` are by how many percent the incumbent's true value is worse than the best one's, or of two
    objectives how much of the hypervolume is missing; `found` says whether there is an incumbent. `seconds`,
    `graphs` and `engines` count from the beginning. `left` is what the strategy says is left, the gain
    and its chance, None where it does not say. `asking` are the real seconds a trial of asking and telling,
    `close` is the gap in percent at which the best is as good as found.
    """

    landscape: str
    strategy: str
    seed: int
    tried: tuple[int, ...]
    gaps: tuple[float, ...]
    found: tuple[bool, ...]
    seconds: tuple[float, ...]
    graphs: tuple[int, ...]
    engines: tuple[int, ...]
    left: tuple[tuple[float, float] | None, ...]
    asking: float
    close: float = 1.0

    def close_at(self) -> int | None:
        """The first trial at which the incumbent is close to the best; None where it never was."""
        hits = (n for n, gap in enumerate(self.gaps) if gap <= self.close and self.found[n])
        return next(hits, None)


def search(
    world: World, strategy: str, make: Make, seed: int, until: Until, earlier: Sequence[Earlier] = ()
) -> Search:
    """The incumbent is what the tuner would hand over: of the best measured feasible, the one that is
    best when they are measured again, as in its finals. The time that these take is not on the clock.
    """
    random = np.random.default_rng([seed, zlib.crc32(world.name.encode())])
    asked: Strategy | None = None
    state, log, asking = State(), _Log(world, seed), 0.0
    index: int | None = 0
    while index is not None:
        observation = world.try_(index, random, state)
        log.add(index, observation, state)
        start = time.perf_counter()
        asked = asked or make(world, seed, earlier)
        if len(log.rows) == until.own_trials and not isinstance(asked, Walking):
            asked = rest(world, seed, {row[0] for row in log.rows})
        asked.tell(observation)
        index = None if log.is_over(until) else asked.ask()
        if len(log.rows) <= until.own_trials:
            asking += time.perf_counter() - start
        if len(log.rows) <= until.trials:
            is_early = len(log.rows) < FEWEST_TRIALS
            log.left.append(None if is_early else asked.left(until.min_gain))
    tried, gaps, found, seconds, graphs, engines = zip(*log.rows, strict=True)
    asking /= min(len(log.rows), until.own_trials)
    left, close = tuple(log.left), world.truths.close
    return Search(
        world.name, strategy, seed, tried, gaps, found, seconds, graphs, engines, left, asking, close
    )


class _Log:
    """The rows of a search, and its incumbent."""

    def __init__(self, world: World, seed: int) -> None:
        self.rows: list[tuple[int, float, bool, float, int, int]] = []
        self.left: list[tuple[float, float] | None] = []
        self._world, self._finals = world, _Finals(world, seed)
        self._front = Front(world) if len(world.objectives) > 1 else None
        self._gap = float(world.truths.gaps.max()) if self._front is None else 100.0
        self._found, self._was_close = False, False

    def add(self, index: int, observation: Observation, state: State) -> None:
        if is_feasible(observation):
            self._found = True
            self._take(index, observation)
        self._was_close = self._was_close or (self._found and self._gap <= self._world.truths.close)
        made = len(state.graphs), len(state.engines)
        self.rows.append((index, self._gap, self._found, state.seconds, *made))

    def _take(self, index: int, observation: Observation) -> None:
        if self._front is not None:
            self._gap = self._front.missing(index)
        else:
            winner = self._finals.winner(index, loss(self._world, observation))
            self._gap = float(self._world.truths.gaps[winner])

    def is_over(self, until: Until) -> bool:
        trials, seconds = len(self.rows), self.rows[-1][3]
        is_long = trials >= until.trials and seconds >= until.seconds
        return is_long and self._was_close


class _Finals:
    """The best that were measured, each measured again in sessions when it is first among them."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._random = world, np.random.default_rng([seed, 1])
        self._measured: dict[int, float] = {}
        self._again: dict[int, float] = {}

    def winner(self, index: int, measured: float) -> int:
        """The winner once this candidate was measured too."""
        self._measured[index] = min(measured, self._measured.get(index, math.inf))
        best = sorted(self._measured, key=self._measured.__getitem__)[: MEASUREMENT_PLAN.finalists]
        return min(best, key=self._value)

    def _value(self, index: int) -> float:
        if index not in self._again:
            tried = [self._world.try_(index, self._random, State()) for _ in range(MEASUREMENT_PLAN.sessions)]
            values = [loss(self._world, one) for one in tried if one.values is not None]
            self._again[index] = float(np.mean(values)) if values else math.inf
        return self._again[index]
