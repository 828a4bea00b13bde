"""Predict metrics of untried candidates: a Gaussian process over choices.

The logarithm of a metric is a sum of the effects of each choice, of pairs of choices, and of a rest that no
model explains. The weight of each dimension is learnt from the trials by maximum likelihood (C. E. Rasmussen
and C. Williams, Gaussian Processes for Machine Learning, sections 2.2 and 5.4.1; D. Duvenaud and others,
Additive Gaussian Processes, NIPS 2011).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studies.search.encoding import IDLE, Codes, Matrix, root_of

Vector = NDArray[np.float64]

# more trials make learning the weights slower, not better
MOST_LEARNT_FROM = 96
STEPS = 10
# with so many trials one more hardly changes the weights
LEARN_ANEW = 25
FIRST_STEPS = 30
STEP_SIZE = 0.3
# Adam's own defaults but for the second: there are few steps (D. P. Kingma and J. Ba, ICLR 2015)
MOMENTUM, SPEED = 0.9, 0.95
# variance of the common level; small, as values are relative to the baseline
LEVEL_VARIANCE = 0.3**2
# the same for another model's study, whose baseline may differ more
OTHER_LEVEL_VARIANCE = 0.1**2
# keeps the matrix invertible when the same candidate is tried twice without noise
JITTER = 1e-7
ONE = np.ones(1)


@dataclass(frozen=True)
class Beliefs:
    """Prior of a metric before any trial: typical variances of logarithms, and by what factor (standard
    deviation of their logarithm) they may be off. Pair effects are never smaller than the least.
    """

    effect: float = 0.1**2
    effect_doubt: float = 2.0
    pairs: float = 0.1
    pairs_doubt: float = 1.5
    least_pairs: float = 0.0
    rest: float = 0.01**2
    rest_doubt: float = 1.5


@dataclass(frozen=True)
class Weights:
    """Variances: of each dimension's effect, of the unexplained rest, and of pair effects as a share of the
    geometric mean of their dimensions' effects.
    """

    effects: Vector
    pairs: float
    rest: float

    @staticmethod
    def of(vector: Vector) -> "Weights":
        """Return the weights with these logarithms."""
        variances = np.exp(vector)
        return Weights(variances[:-2], float(variances[-2]), float(variances[-1]))


@dataclass(frozen=True)
class Data:
    """Trials: their rows, the values (logarithms), the variance of each, and the similarity of its model to
    the searched one: the covariance with other models' trials is the product of both.
    """

    rows: Codes
    values: Vector
    variances: Vector
    models: NDArray[np.int64]
    likeness: Vector

    def __len__(self) -> int:
        return len(self.values)

    def only(self, chosen: NDArray[np.int64]) -> "Data":
        return Data(
            self.rows[chosen],
            self.values[chosen],
            self.variances[chosen],
            self.models[chosen],
            self.likeness[chosen],
        )

    def and_also(self, other: "Data") -> "Data":
        return Data(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.values, other.values]),
            np.concatenate([self.variances, other.variances]),
            np.concatenate([self.models, other.models]),
            np.concatenate([self.likeness, other.likeness]),
        )


def data_of(rows: Codes, values: Vector, variances: Vector) -> Data:
    """Return trials of the model that is searched."""
    count = len(values)
    return Data(rows, values, variances, np.zeros(count, dtype=np.int64), np.ones(count))


@dataclass(frozen=True)
class Posterior:
    """Prediction for some candidates: mean and variance of the logarithm of each."""

    mean: Vector
    variance: Vector

    @property
    def deviation(self) -> Vector:
        return np.sqrt(self.variance)


class Surrogate:
    """A model of one metric, which learns from all trials whenever it is asked to.

    `mean` is what is expected of candidates before any trial.
    """

    def __init__(
        self,
        factors: tuple[Matrix, ...],
        beliefs: Beliefs = Beliefs(),
        mean: Callable[[Codes], Vector] = lambda rows: np.zeros(len(rows)),
    ) -> None:
        self._factors, self._mean = factors, mean
        self._squares = tuple(root_of((factor @ factor.T) ** 2) for factor in factors)
        count = len(factors)
        self._least_pairs = beliefs.least_pairs
        self._believed = np.log([*[beliefs.effect] * count, beliefs.pairs, beliefs.rest])
        self._doubts = np.array([*[beliefs.effect_doubt] * count, beliefs.pairs_doubt, beliefs.rest_doubt])
        self._vector: Vector = self._believed
        self._learn_at = 0
        self._data: Data | None = None
        self._trials = 0
        self._inverse_root: Matrix = np.zeros((0, 0))
        self._solved: Vector = np.zeros(0)

    @property
    def weights(self) -> Weights:
        """Return the learnt weights; a few trials never prove that pairs have no effect."""
        learnt = Weights.of(self._vector)
        return replace(learnt, pairs=max(learnt.pairs, self._least_pairs))

    def learn(self, data: Data) -> None:
        """Learn from these trials alone; the weights start from those learnt before."""
        data = replace(data, values=data.values - self._mean(data.rows))
        if len(data) >= self._learn_at:
            chosen = data.only(_spread_out(len(data), MOST_LEARNT_FROM))
            self._vector = self._likeliest(chosen, STEPS if self._learn_at else FIRST_STEPS)
            self._learn_at = len(data) + 1 + len(data) // LEARN_ANEW
        self._trials = len(data)
        self._take(data)

    def expect(self, rows: Codes) -> None:
        """Condition on the expected values of candidates under way: that changes no mean, and reduces the
        variance of similar candidates. They are forgotten at the next `learn`.
        """
        data = self._data
        assert data is not None
        means = self.predict(rows).mean - self._mean(rows)
        self._take(data.and_also(data_of(rows, means, np.zeros(len(rows)))))

    def _take(self, data: Data) -> None:
        """Solve for the trials; their values are relative to the prior mean."""
        self._data = data
        covariance = self._covariance(data.rows, data.rows) * _shared(data) + _levels(data)
        covariance[np.diag_indices(len(data))] += data.variances + self.weights.rest + JITTER
        self._inverse_root = np.linalg.inv(np.linalg.cholesky(covariance))
        self._solved = self._inverse_root @ data.values

    def smoothed(self) -> Vector:
        """Return the values of the trials with the measurement noise removed."""
        data = self._data
        assert data is not None
        noise = data.variances * (self._inverse_root.T @ self._solved)
        smoothed: Vector = self._mean(data.rows) + data.values - noise
        return smoothed[: self._trials]

    def predict(self, rows: Codes) -> Posterior:
        """Return the prediction for candidates of the model that is searched."""
        known = self._known(rows)
        variance = self._variance(rows) - np.einsum("ij,ij->j", known, known)
        mean = self._mean(rows) + known.T @ self._solved
        return Posterior(mean, np.maximum(variance, 0.0) + self.weights.rest)

    def draws(self, rows: Codes, count: int, random: np.random.Generator) -> Matrix:
        """Return joint samples of the candidates: a row for each sample."""
        known = self._known(rows)
        covariance = self._covariance(rows, rows) - known.T @ known
        covariance[np.diag_indices(len(rows))] += self.weights.rest
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        mean = self._mean(rows) + known.T @ self._solved
        drawn: Matrix = mean + random.standard_normal((count, len(rows))) @ root.T
        return drawn

    def _known(self, rows: Codes) -> Matrix:
        """Return the information of the trials on each candidate, a column each, in units in which trials are
        independent.
        """
        data = self._data
        assert data is not None
        known: Matrix = self._inverse_root @ (self._covariance(data.rows, rows) * data.likeness[:, None])
        return known

    def _covariance(self, one: Codes, other: Codes) -> Matrix:
        weights = self.weights
        factors, squares = self._factors, self._squares
        total = _alike(factors, weights.effects, one, other)
        roots = _alike(factors, np.sqrt(weights.effects), one, other)
        # every pair of dimensions once, and none with itself
        pairs = roots * roots - _alike(squares, weights.effects, one, other)
        covariance: Matrix = LEVEL_VARIANCE + total + weights.pairs / 2 * pairs
        return covariance

    def _variance(self, rows: Codes) -> Vector:
        """Return the prior variance of each candidate."""
        weights = self.weights
        means_something = rows > IDLE
        total = means_something @ weights.effects
        pairs = (means_something @ np.sqrt(weights.effects)) ** 2 - total
        variance: Vector = LEVEL_VARIANCE + total + weights.pairs / 2 * pairs
        return variance

    def _likeliest(self, data: Data, steps: int) -> Vector:
        """Return the maximum a posteriori weights, found with Adam."""
        alike = [
            _alike((factor,), ONE, data.rows[:, [place]], data.rows[:, [place]])
            for place, factor in enumerate(self._factors)
        ]
        stacked = np.array(alike).reshape(-1, len(data), len(data))
        vector = self._vector
        momentum, speed = np.zeros_like(vector), np.zeros_like(vector)
        for step in range(1, steps + 1):
            slope = _slope(vector, stacked, data) - (vector - self._believed) / self._doubts**2
            momentum = MOMENTUM * momentum + (1 - MOMENTUM) * slope
            speed = SPEED * speed + (1 - SPEED) * slope**2
            ahead, scale = momentum / (1 - MOMENTUM**step), np.sqrt(speed / (1 - SPEED**step))
            vector = vector + STEP_SIZE * ahead / (scale + 1e-8)
        return vector


def _slope(vector: Vector, alike: NDArray[np.float64], data: Data) -> Vector:
    """Return the derivative of the log likelihood with respect to each weight: Rasmussen and Williams,
    5.9.
    """
    weights = Weights.of(vector)
    shared = _shared(data)
    effects = weights.effects[:, None, None]
    roots = np.tensordot(np.sqrt(weights.effects), alike, 1)
    squares = alike**2
    pairs = weights.pairs / 2 * (roots**2 - np.tensordot(weights.effects, squares, 1))
    covariance = (LEVEL_VARIANCE + np.tensordot(weights.effects, alike, 1) + pairs) * shared + _levels(data)
    covariance[np.diag_indices(len(data))] += data.variances + weights.rest + JITTER
    inverse = np.linalg.inv(covariance)
    solved = inverse @ data.values
    pull = np.outer(solved, solved) - inverse
    by_effect = effects * alike + weights.pairs / 2 * (np.sqrt(effects) * roots * alike - effects * squares)
    slopes = np.tensordot(by_effect, pull * shared, 2)
    found = np.concatenate([slopes, [(pull * shared * pairs).sum(), weights.rest * np.trace(pull)]]) / 2
    return np.asarray(found)


def _alike(factors: Sequence[Matrix], weights: Vector, one: Codes, other: Codes) -> Matrix:
    """Return the similarity of candidates: the weighted sum over dimensions, as one matrix product."""
    roots = np.sqrt(weights)
    left, right = (_features(factors, roots, rows) for rows in (one, other))
    found: Matrix = left @ right.T
    return found


def _features(factors: Sequence[Matrix], roots: Vector, rows: Codes) -> Matrix:
    parts = [
        root * factor[rows[:, place]] for place, (root, factor) in enumerate(zip(roots, factors, strict=True))
    ]
    return np.concatenate([np.zeros((len(rows), 0)), *parts], axis=1)


def _shared(data: Data) -> Matrix:
    """What trials of different models have in common; all of it for those of one model."""
    common = np.outer(data.likeness, data.likeness)
    return np.where(data.models[:, None] == data.models[None, :], 1.0, common)


def _levels(data: Data) -> Matrix:
    """What the trials of another model have in common besides, and no trial of this one."""
    same = data.models[:, None] == data.models[None, :]
    levels: Matrix = OTHER_LEVEL_VARIANCE * (same & (data.models > 0)[:, None])
    return levels


def _spread_out(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of them, the first and the last included."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
