import math

import numpy as np
import pytest

from engines.core.values import Candidate, Dimension, Settings
from studies.core.records import Direction
from studies.search.acquisition import front_of
from studies.search.encoding import Encoding
from studies.search.history import FARTHEST_KEPT, FARTHEST_MISSED, LIMIT, MOST_KNOWN, Memory, worst_of
from studies.search.observations import Earlier, Observation

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16"), "fp32", ""),
    Dimension("level", "build", tuple(range(300)), 0, ""),
)
ENCODING = Encoding(SPACE)
MINIMIZE: list[Direction] = ["minimize"]


def _told(
    level: int, *values: float, precision: str = "fp32", margins: tuple[float | None, ...] = ()
) -> Observation:
    candidate = Candidate(Settings(precision=precision), Settings(level=level))
    return Observation(candidate, values or None, (1e-4,) * len(values), margins)


def _memory(*observations: Observation, directions: list[Direction] = MINIMIZE) -> Memory:
    memory = Memory(ENCODING, directions)
    for observation in observations:
        memory.add(observation)
    return memory


def test_values_are_logarithms_of_ratios_to_the_baseline_and_less_is_better() -> None:
    memory = _memory(_told(0, 4.0), _told(1, 2.0))
    assert memory.objective(0).values == pytest.approx([0.0, -math.log(2)])
    memory = _memory(_told(0, 4.0), _told(1, 8.0), directions=["maximize"])
    assert memory.objective(0).values == pytest.approx([0.0, -math.log(2)])


def test_a_metric_that_may_be_negative_is_taken_as_it_is() -> None:
    memory = _memory(_told(0, -3.0), _told(1, 1.0), _told(2, -7.0), directions=["maximize"])
    baseline, better, worse = memory.objective(0).values
    assert baseline == 0.0
    assert better == pytest.approx(-worse)
    assert better < 0


def test_an_error_of_zero_is_as_good_as_a_tiny_one() -> None:
    memory = _memory(_told(0, 0.0), _told(1, 1e-12), _told(2, 1e-3))
    assert memory.objective(0).values[:2] == pytest.approx([0.0, 0.0])
    assert memory.objective(0).values[2] > 10


def test_trial_outside_the_space_may_be_the_best_but_is_not_learnt_from() -> None:
    memory = _memory(_told(0, 4.0, precision="int8"), _told(1, 8.0))
    assert len(memory.objective(0)) == 1
    assert memory.feasible(np.array([[math.log(2)]])).tolist() == [[math.log(2)], [0.0]]


def test_infeasible_trial_is_never_the_best() -> None:
    memory = _memory(
        _told(0, 4.0, margins=(-0.5,)), _told(1, 1.0, margins=(0.1,)), _told(2, 3.0, margins=(None,))
    )
    smoothed = memory.objective(0).values[:, None]
    assert memory.feasible(smoothed).ravel() == pytest.approx([0.0, math.log(3 / 4)])


def test_margins_count_from_far_below_the_limit_and_are_cut_off() -> None:
    memory = _memory(
        _told(0, 4.0, margins=(-9.0,)), _told(1, 1.0, margins=(0.0,)), _told(2, 1.0, margins=(8.0,))
    )
    assert memory.margin(0).values.tolist() == [0.0, LIMIT, FARTHEST_MISSED - FARTHEST_KEPT]


def test_earlier_studies_give_ratios_to_their_own_baselines() -> None:
    earlier = Earlier("other", 0.7, (_told(0, 40.0), _told(1, 10.0)))
    memory = Memory(ENCODING, MINIMIZE, (earlier,))
    memory.add(_told(0, 4.0))
    data = memory.objective(0)
    assert data.values == pytest.approx([0.0, 0.0, -math.log(4)])
    assert data.models.tolist() == [0, 1, 1]
    assert data.likeness.tolist() == [1.0, 0.7, 0.7]
    # and are no candidates for the best
    assert memory.feasible(data.values[:, None]).tolist() == [[0.0]]


def test_earlier_study_with_a_failed_baseline_is_ignored() -> None:
    earlier = Earlier("other", 0.7, (_told(0), _told(1, 10.0)))
    assert not Memory(ENCODING, MINIMIZE, (earlier,)).is_telling


def test_of_many_trials_the_best_are_kept() -> None:
    values = np.random.default_rng(0).uniform(1, 2, 280)
    memory = _memory(*(_told(level, float(value)) for level, value in enumerate(values)))
    data = memory.objective(0)
    assert len(data) == len(memory) == MOST_KNOWN
    best = np.sort(np.log(values / values[0]))[: MOST_KNOWN // 2]
    assert set(np.round(best, 9)) <= set(np.round(data.values, 9))


def test_a_front_lies_within_what_is_worse_than_every_trial() -> None:
    memory = _memory(_told(0, 4.0, 1e-3), _told(1, 2.0, 1e-2), directions=["minimize", "minimize"])
    smoothed = np.stack([memory.objective(number).values for number in range(2)], axis=1)
    front, limits = front_of(memory.feasible(smoothed)), worst_of(smoothed)
    assert len(front) == 2
    assert (limits > smoothed.max(axis=0)).all()


def test_trials_of_earlier_studies_never_push_out_those_of_this_one() -> None:
    others = tuple(_told(level, 1.0 + level) for level in range(MOST_KNOWN))
    memory = Memory(ENCODING, MINIMIZE, (Earlier("other", 0.9, others),))
    for level in range(60):
        memory.add(_told(level, 500.0 - level))
    data = memory.objective(0)
    assert (data.models == 0).sum() == 60
    assert len(data) == MOST_KNOWN


def test_the_best_feasible_trial_is_kept_however_many_infeasible_ones_are_faster() -> None:
    fast = [_told(level, 1.0 + 0.001 * level, margins=(0.5,)) for level in range(1, 250)]
    memory = _memory(_told(0, 9.0, margins=(-1.0,)), *fast, _told(260, 8.0, margins=(-1.0,)))
    smoothed = memory.objective(0).values[:, None]
    assert memory.feasible(smoothed).min() == pytest.approx(math.log(8 / 9))


def test_trials_are_corrected_once_more_is_known_of_them() -> None:
    memory = _memory(_told(0, 4.0), _told(1, 2.0))
    memory.correct([_told(0, 8.0), _told(1, 2.0)])
    assert memory.objective(0).values == pytest.approx([0.0, -math.log(4)])
