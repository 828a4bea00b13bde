import numpy as np
import pytest

from engines.core.values import Dimension
from studies.search.encoding import Codes, Encoding
from studies.search.surrogate import Beliefs, Data, Surrogate, Vector, data_of

SPACE = tuple(
    Dimension(name, "build", tuple(f"{name}{number}" for number in range(count)), f"{name}0", "")
    for name, count in (("a", 4), ("b", 3), ("c", 3), ("dead", 4))
)
ENCODING = Encoding(SPACE)
ROWS = ENCODING.every()


def _truth(rows: Codes, pair: float = 0.0) -> Vector:
    """A sum of effects: of `a` large ones, of `b` small ones, of `dead` none; and one pair's."""
    effects = 0.4 * rows[:, 0] % 0.7 + 0.05 * rows[:, 1] + 0.1 * (rows[:, 2] == 2)
    return np.asarray(effects + pair * ((rows[:, 0] == 2) & (rows[:, 2] == 3)))


def _learnt(
    count: int, noise: float = 0.002, pair: float = 0.0, seed: int = 0
) -> tuple[Surrogate, Codes, Codes]:
    random = np.random.default_rng(seed)
    order = random.permutation(len(ROWS))
    seen, unseen = ROWS[order[:count]], ROWS[order[count:]]
    values = _truth(seen, pair) + random.normal(0, noise, count)
    surrogate = Surrogate(ENCODING.factors)
    surrogate.learn(data_of(seen, values, np.full(count, noise**2)))
    return surrogate, seen, unseen


def test_sums_of_effects_are_predicted_from_few_trials() -> None:
    surrogate, _, unseen = _learnt(30)
    found = surrogate.predict(unseen)
    assert np.abs(found.mean - _truth(unseen)).max() < 0.05
    assert np.corrcoef(found.mean, _truth(unseen))[0, 1] > 0.99


def test_pair_effects_are_learnt() -> None:
    surrogate, _, unseen = _learnt(90, pair=0.5)
    assert np.abs(surrogate.predict(unseen).mean - _truth(unseen, 0.5)).max() < 0.15


def test_trials_without_any_pair_do_not_prove_that_no_pair_does_anything() -> None:
    order = np.random.default_rng(0).permutation(len(ROWS))[:60]
    data = data_of(ROWS[order], _truth(ROWS[order]), np.full(60, 1e-6))
    pairs = []
    for least in (0.0, 0.1):
        surrogate = Surrogate(ENCODING.factors, Beliefs(least_pairs=least))
        surrogate.learn(data)
        pairs.append(surrogate.weights.pairs)
    assert pairs[0] < pairs[1] == 0.1


def test_a_dimension_that_does_nothing_gets_little_weight() -> None:
    weights = _learnt(60)[0].weights.effects
    assert weights[3] < 0.05 * weights[0]


def test_intervals_hold_about_as_often_as_they_say() -> None:
    inside = []
    for seed in range(5):
        surrogate, _, unseen = _learnt(40, noise=0.01, seed=seed)
        found = surrogate.predict(unseen)
        inside.append(np.abs(found.mean - _truth(unseen)) < 1.96 * found.deviation)
    assert 0.9 <= float(np.mean(inside)) <= 1.0


def test_untried_choices_have_a_larger_variance() -> None:
    surrogate, seen, _ = _learnt(20)
    tried = surrogate.predict(seen).deviation
    alone = Surrogate(ENCODING.factors)
    alone.learn(data_of(seen[:1], np.zeros(1), np.full(1, 1e-4)))
    others = ROWS[(seen[0] != ROWS).all(axis=1)]
    assert alone.predict(others).deviation.min() > 2 * tried.max()


def test_noise_is_smoothed_away_where_the_model_knows_better() -> None:
    surrogate, seen, _ = _learnt(60, noise=0.05)
    smoothed = surrogate.smoothed()
    assert np.std(smoothed - _truth(seen)) < 0.7 * 0.05


def test_trial_without_noise_is_not_smoothed() -> None:
    values = np.array([0.3, -0.2, 0.1])
    surrogate = Surrogate(ENCODING.factors)
    surrogate.learn(data_of(ROWS[[0, 20, 40]], values, np.zeros(3)))
    assert surrogate.smoothed() == pytest.approx(values)


def test_draws_have_the_mean_and_spread_of_what_is_expected() -> None:
    surrogate, _, unseen = _learnt(12, noise=0.02)
    found, drawn = surrogate.predict(unseen), surrogate.draws(unseen, 4000, np.random.default_rng(1))
    assert np.abs(drawn.mean(axis=0) - found.mean).max() < 0.05
    assert drawn.std(axis=0) == pytest.approx(found.deviation, rel=0.1)


@pytest.mark.parametrize("likeness", [0.0, 0.9])
def test_trials_of_a_similar_model_inform_the_prediction(likeness: float) -> None:
    count = 40
    rows = ROWS[np.random.default_rng(3).permutation(len(ROWS))]
    data = Data(
        rows[:count],
        _truth(rows[:count]),
        np.full(count, 1e-4),
        np.array([0] + [1] * (count - 1)),
        np.array([1.0] + [likeness] * (count - 1)),
    )
    surrogate = Surrogate(ENCODING.factors)
    surrogate.learn(data)
    related = np.corrcoef(surrogate.predict(rows[count:]).mean, _truth(rows[count:]))[0, 1]
    assert related > 0.95 if likeness else related < 0.8


def test_pending_trials_keep_the_means_and_reduce_the_variance() -> None:
    surrogate, _, unseen = _learnt(30)
    before, smoothed = surrogate.predict(unseen), surrogate.smoothed()
    surrogate.expect(unseen[:3])
    after = surrogate.predict(unseen)
    assert after.mean == pytest.approx(before.mean, abs=1e-6)
    assert surrogate.smoothed() == pytest.approx(smoothed, abs=1e-6)
    assert (after.variance[:3] < 0.8 * before.variance[:3]).all()
    assert (after.variance < before.variance + 1e-12).all()
