import numpy as np
import pytest

from studies.search.acquisition import below, chance_below, front_of, hypervolume_growth
from studies.search.surrogate import Posterior

RANDOM = np.random.default_rng(0)


def _posterior(mean: float, deviation: float) -> Posterior:
    return Posterior(np.array([mean]), np.array([deviation**2]))


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.5, 0.3), (-1.0, 0.2), (2.0, 0.5)])
def test_expected_improvement_is_the_mean_of_what_is_below(mean: float, deviation: float) -> None:
    drawn = RANDOM.normal(mean, deviation, 400_000)
    expected = np.maximum(0.2 - drawn, 0).mean()
    assert below(0.2, _posterior(mean, deviation))[0] == pytest.approx(expected, abs=0.003)


def test_the_chance_to_be_below_is_that_of_a_normal_distribution() -> None:
    assert chance_below(0.0, _posterior(0.0, 1.0))[0] == pytest.approx(0.5)
    assert chance_below(1.96, _posterior(0.0, 1.0))[0] == pytest.approx(0.975, abs=1e-4)
    assert chance_below(-3.0, _posterior(0.0, 1.0))[0] == pytest.approx(0.00135, abs=1e-5)


def test_only_points_that_no_other_beats_are_on_the_front() -> None:
    values = np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.5], [4.0, 1.0], [4.0, 1.0]])
    assert front_of(values).tolist() == [[1.0, 5.0], [2.0, 2.0], [4.0, 1.0]]


def test_hypervolume_is_expected_to_grow_by_what_draws_add_on_average() -> None:
    front, limits = np.array([[0.0, 1.0], [0.5, 0.3]]), np.array([1.0, 1.5])
    one, other = _posterior(0.3, 0.3), _posterior(0.4, 0.5)
    drawn = np.stack([RANDOM.normal(0.3, 0.3, 20_000), RANDOM.normal(0.4, 0.5, 20_000)], axis=1)
    grown = [_area(front_of(np.vstack([front, point])), limits) - _area(front, limits) for point in drawn]
    found = hypervolume_growth(front, limits, one, other)[0]
    assert found == pytest.approx(np.mean(grown), rel=0.03)


def test_a_point_that_is_certainly_beaten_adds_nothing() -> None:
    front, limits = np.array([[0.0, 0.0]]), np.array([1.0, 1.0])
    assert hypervolume_growth(front, limits, _posterior(0.5, 0.01), _posterior(0.5, 0.01))[0] < 1e-6


def _area(front: np.ndarray, limits: np.ndarray) -> float:
    """Of what the front beats within the limits, by adding up strips."""
    inside = front[(front < limits).all(axis=1)]
    ends = [*inside[1:, 0], limits[0]] if len(inside) else []
    return float(sum((end - x) * (limits[1] - y) for (x, y), end in zip(inside, ends, strict=True)))
