"""Choose what to try next: the candidate with the largest expected improvement for its cost.

Every untried candidate is scored, or a sample of them if there are too many: the expected improvement, times
the probability that it can be built and meets the constraints, divided by its cost in seconds. Nothing is
suggested twice, nor any candidate whose graph or engine cannot be made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.core.values import Candidate, Value
from studies.core import space as spaces
from studies.core.records import Direction
from studies.core.space import Point, Space
from studies.search.acquisition import below, chance_below, front_of, hypervolume_growth, scalarized_growth
from studies.search.costs import DECIDING, Costs
from studies.search.encoding import Codes, Encoding, Matrix
from studies.search.feasibility import NeverWorked, Pairs
from studies.search.history import LIMIT, Memory, worst_of
from studies.search.observations import Earlier, Observation
from studies.search.ordering import Advice, Sparing
from studies.search.pool import Pool
from studies.search.stopping import Left
from studies.search.surrogate import Beliefs, Posterior, Surrogate, Vector

# how much worse (as a logarithm) an untried choice is expected to be than the default
DEPARTURE = 0.05
# with smaller pair effects a search would stop before it has tried pairs
OBJECTIVES = Beliefs(least_pairs=Beliefs.pairs)
MARGINS = Beliefs(effect=0.7**2, pairs=0.3, rest=0.05**2)
FAILURES = Beliefs(effect=0.2**2, pairs=0.3, rest=0.1**2)
# least probability that a candidate can be made, even if none like it could
LEAST_CHANCE = 0.01
# least probability of meeting a constraint that a choice missed only in other combinations
NEW_CHANCE = 0.01
# a pending trial sets the value to beat only if it is probably feasible
LIKELY = 0.5
# candidates times trials scored in a step, and the least and most candidates
MOST_PRODUCTS = 200_000
FEWEST_SCORED, MOST_SCORED = 1_000, 3_000
NEAR = 8
# candidates and draws from which the gain that is left is estimated
HOPEFUL, DRAWS = 128, 256
NOWHERE: Codes = np.zeros((0, 0), dtype=np.int64)


@dataclass(frozen=True)
class CostWeight:
    """How much the cost of a candidate counts.

    Expected gain is divided by the candidate's cost plus `fixed_share` of the mean cost. 0 maximises gain per
    second, infinity gain per trial.
    """

    fixed_share: float = 0.5


@dataclass(frozen=True)
class _View:
    """Candidates that may be tried next, their expected values, and the probability that each is feasible."""

    rows: Codes
    objectives: tuple[Posterior, ...]
    chance: Vector


class Searcher:
    """Learn from observations and suggest points that were not seen.

    `constraints` is their number, `metrics` what the objectives are (see `studies.core.metrics`): for speeds
    it begins with what vendors advise, and tries graphs that keep more nodes in FP32 last. `listed` are the
    only points there are (None for the whole space).
    """

    def __init__(
        self,
        space: Space,
        directions: Sequence[Direction],
        constraints: int,
        seed: int,
        *,
        metrics: Sequence[str] = (),
        earlier: Sequence[Earlier] = (),
        listed: Sequence[Point] | None = None,
        cost_weight: CostWeight = CostWeight(),
    ) -> None:
        self.encoding = Encoding(tuple(space))
        self._random = np.random.default_rng(seed)
        self._cost_weight = cost_weight
        self._pool = Pool(self.encoding, self._random, listed)
        self._costs = Costs(self.encoding)
        self._pairs = Pairs(self.encoding)
        self._never_worked = NeverWorked(self.encoding)
        self._memory = Memory(self.encoding, directions, earlier)
        factors = self.encoding.factors
        self._objectives = [Surrogate(factors, OBJECTIVES, self._believed) for _ in directions]
        self._margins = [Surrogate(factors, MARGINS) for _ in range(constraints)]
        self._failures = Surrogate(factors, FAILURES)
        self._advice = Advice(self.encoding, metrics)
        self._sparing = Sparing(self.encoding, metrics)
        self._has_learnt = False
        self._view: _View | None = None
        self._pending: Codes = np.zeros((0, len(self.encoding.searched)), dtype=np.int64)

    @property
    def is_exhausted(self) -> bool:
        """Return whether there is no candidate left to try."""
        return self._pool.is_exhausted

    def mark_seen(self, settings: Mapping[str, Value]) -> None:
        """Never suggest this point again; points outside the space are ignored."""
        if spaces.contains(self.encoding.whole, settings):
            self._pool.mark_seen(self.encoding.codes(settings))
            self._advice.mark_tried(self.encoding.codes(settings), works=False)
            self._view = None

    def leave_out(self, name: str, value: Value) -> None:
        """Fix a dimension that changes nothing to this value from now on."""
        for place, one in enumerate(self.encoding.searched):
            if one.name == name:
                self._pool.leave_out(place, 1 + one.choices.index(value))
                self._view = None

    def add(self, observation: Observation) -> None:
        """Add a finished trial, the baseline first."""
        row = self._memory.add(observation)
        self._has_learnt, self._view = False, None
        if row is None:
            return
        self._pool.mark_seen(row)
        self._advice.mark_tried(row, works=observation.failed is None)
        self._costs.add(row, observation)
        self._pairs.add(row, kept=observation.is_feasible)
        # a failure during measurement may be an accident
        if observation.failed != "measure":
            self._never_worked.add(row, worked=observation.failed is None)
        if observation.values is not None:
            for graph, is_spared in self._sparing.learn(row, kept=observation.is_feasible):
                self._pool.postpone(graph, self._sparing.places, waits=is_spared)
        kinds = DECIDING.get(observation.failed or "")
        if kinds is not None:
            self._pool.forbid(row, self.encoding.places(kinds))

    def correct(self, observations: Sequence[Observation]) -> None:
        """Replace all trials that were added by what is known of them now."""
        self._memory.correct(observations)
        self._has_learnt, self._view = False, None

    def suggest(self, pending: Sequence[Candidate] = ()) -> dict[str, Value]:
        """Return the point to try next; there must be one that was not seen.

        `pending` points are being evaluated: they count as seen, with their expected values.
        """
        self._await(pending)
        rows = self._advised()
        if not len(rows) and not self._memory.is_telling:
            rows = self._drawn()
        if len(rows):
            return self.encoding.point(rows[self._random.integers(len(rows))])
        view = self._looked()
        usual = float(self._costs.predict(view.rows).mean())
        rows, scores = view.rows, self._scores(view, usual)
        if not self._pool.is_listed:
            rows, scores = self._climb(rows, scores, usual)
        best = np.flatnonzero(scores >= scores.max() * (1 - 1e-9))
        return self.encoding.point(rows[self._random.choice(best)])

    def left_to_gain(self, least: float) -> Left | None:
        """Return the improvement over the best so far that is still to be expected; `chance` is for more than
        the `least` gain.

        None with several objectives, or before anything is feasible.
        """
        self._await(())
        if len(self._objectives) > 1 or not self._memory.is_telling:
            return None
        feasible = self._memory.feasible(self._smoothed())
        if not len(feasible):
            return None
        if self.is_exhausted:
            return Left(0.0, 0.0, least)
        best, view = feasible.min(), self._looked()
        hope = chance_below(best - np.log1p(least), view.objectives[0]) * view.chance
        rows = view.rows[np.argsort(-hope)[:HOPEFUL]]
        drawn = np.where(self._possible(rows), self._objectives[0].draws(rows, DRAWS, self._random), np.inf)
        gains = np.maximum(best - drawn.min(axis=1), 0.0)
        return Left(float(np.expm1(gains).mean()), float((gains > np.log1p(least)).mean()), least)

    def _await(self, pending: Sequence[Candidate]) -> None:
        """Set which candidates are under way."""
        inside = [one.settings for one in pending if spaces.contains(self.encoding.whole, one.settings)]
        for settings in inside:
            self._pool.mark_seen(self.encoding.codes(settings))
        rows = np.array([self.encoding.codes(one) for one in inside], dtype=np.int64)
        rows = rows.reshape(len(inside), len(self.encoding.searched))
        if len(rows) or len(self._pending):
            self._pending = rows
            self._has_learnt, self._view = False, None

    def _believed(self, rows: Codes) -> Vector:
        """Return the expected values before any trial: vendors choose their defaults with care."""
        return DEPARTURE * self.encoding.departures(rows)

    def _advised(self) -> Codes:
        """Return the next candidates of the vendors' advice; none once all of it was tried."""
        for codes in self._advice.left:
            rows = self._pool.having(codes)
            if len(rows):
                departures = self.encoding.departures(rows)
                return np.asarray(rows[departures == departures.min()])
        return NOWHERE

    def _possible(self, rows: Codes) -> NDArray[np.bool_]:
        """Return which candidates would be feasible, a row for each draw."""
        possible = self._random.random((DRAWS, len(rows))) < self._chance_made(rows)
        for margins in self._known_margins():
            possible &= margins.draws(rows, DRAWS, self._random) <= LIMIT
        return possible

    def _looked(self) -> _View:
        """Return the candidates to choose from; the same until a trial is added."""
        if self._view is None:
            self._learn()
            self._view = self._seen_as(self._drawn())
        return self._view

    def _drawn(self) -> Codes:
        near = self._memory.best_rows(NEAR) if not self._pool.is_listed else NOWHERE
        most = np.clip(MOST_PRODUCTS // max(1, len(self._memory)), FEWEST_SCORED, MOST_SCORED)
        return self._pool.draw(int(most), near)

    def _seen_as(self, rows: Codes) -> _View:
        found = tuple(one.predict(rows) for one in self._objectives)
        return _View(rows, found, self._chance_feasible(rows))

    def _learn(self) -> None:
        if self._has_learnt or not self._memory.is_telling:
            return
        self._has_learnt = True
        for number, surrogate in enumerate(self._objectives):
            surrogate.learn(self._memory.objective(number))
        for number, surrogate in enumerate(self._margins):
            if self._memory.knows_margin(number):
                surrogate.learn(self._memory.margin(number))
        if self._memory.any_failed:
            self._failures.learn(self._memory.failures())
        if len(self._pending):
            for surrogate in (*self._objectives, *self._known_margins()):
                surrogate.expect(self._pending)

    def _smoothed(self) -> Matrix:
        self._learn()
        return np.stack([one.smoothed() for one in self._objectives], axis=1)

    def _scores(self, view: _View, usual: float) -> Vector:
        """Return the expected gain divided by the cost, to which a share of the mean cost is added."""
        seconds = self._costs.predict(view.rows) / usual
        share = self._cost_weight.fixed_share
        return view.chance * self._gains(view) / ((seconds + share) / (1 + share))

    def _gains(self, view: _View) -> Vector:
        """Return the expected improvement; 1 for all before anything is feasible."""
        smoothed = self._smoothed()
        feasible = self._memory.feasible(smoothed)
        if not len(feasible):
            return np.ones(len(view.rows))
        feasible = np.concatenate([feasible, self._expected()])
        if len(view.objectives) == 1:
            return below(float(feasible.min()), view.objectives[0])
        if len(view.objectives) == 2:
            return hypervolume_growth(front_of(feasible), worst_of(smoothed), *view.objectives)
        # all candidates scored between two trials share a weighting
        return scalarized_growth(feasible, view.objectives, np.random.default_rng(len(smoothed)))

    def _expected(self) -> Matrix:
        """Return the expected values of the trials under way that will probably be feasible."""
        if not len(self._pending):
            return np.zeros((0, len(self._objectives)))
        likely = self._pending[self._chance_feasible(self._pending) >= LIKELY]
        return np.stack([one.predict(likely).mean for one in self._objectives], axis=1)

    def _chance_feasible(self, rows: Codes) -> Vector:
        kept = np.ones(len(rows))
        for margins in self._known_margins():
            kept = kept * chance_below(LIMIT, margins.predict(rows))
        kept = np.maximum(kept, np.where(self._pairs.are_new(rows), NEW_CHANCE, 0.0))
        return np.asarray(self._chance_made(rows) * kept)

    def _chance_made(self, rows: Codes) -> Vector:
        if not self._memory.any_failed:
            return np.ones(len(rows))
        # the mean of failures, which are 1 or 0, is the probability of failure
        chance = np.clip(1 - self._failures.predict(rows).mean, LEAST_CHANCE, 1.0)
        return np.asarray(np.minimum(chance, self._never_worked.chance(rows)))

    def _known_margins(self) -> list[Surrogate]:
        return [one for number, one in enumerate(self._margins) if self._memory.knows_margin(number)]

    def _climb(self, rows: Codes, scores: Vector, usual: float) -> tuple[Codes, Vector]:
        """Search the neighbours of the best-scored candidates for better ones."""
        near = self._pool.around(rows[np.argsort(-scores)[:NEAR]])
        if not len(near):
            return rows, scores
        return np.concatenate([rows, near]), np.concatenate(
            [scores, self._scores(self._seen_as(near), usual)]
        )
