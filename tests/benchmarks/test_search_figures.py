import math

import pytest

from benchmarks.search.figures import figures_of, mean_of, ratio, share_of, stop_at, stopping_of
from benchmarks.search.searches import Search
from studies.search.stopping import FEWEST_TRIALS


def a_search(gaps: tuple[float, ...], step: float = 10.0, chances: tuple[float, ...] = ()) -> Search:
    count = len(gaps)
    return Search(
        "tiny",
        "some",
        0,
        tuple(range(count)),
        gaps,
        (True,) * count,
        tuple(step * (n + 1) for n in range(count)),
        (1,) * count,
        tuple(range(1, count + 1)),
        tuple((0.01, chance) for chance in chances),
        0.001,
    )


def test_figures_of_a_case_done_by_hand() -> None:
    quick, slow = a_search((8.0, 0.5, 0.5, 0.0)), a_search((8.0, 6.0, 4.0, 0.0))
    found = figures_of([quick, slow], 4, 40.0)
    # after one, two and four trials, and at 4, 10 and 20 seconds
    assert [one.value for one in found.by_trials] == [8.0, 3.25, 0.0]
    assert [one.value for one in found.by_time] == [8.0, 8.0, 3.25]
    assert found.close_trials == 3.0
    assert found.close_seconds == 30.0
    assert found.mean_seconds.value == 30.0
    assert found.close.value == 1.0
    assert found.engines == 4.0
    assert found.infeasible == 0.0


def test_what_never_came_close_counts_with_all_its_time() -> None:
    never = a_search((8.0, 5.0))
    found = figures_of([never], 2, 40.0)
    assert found.mean_seconds.value == 20.0
    assert math.isinf(found.close_trials)
    assert found.late == 1.0
    assert found.close.value == 0.0


def test_a_ratio_is_the_geometric_mean_over_landscapes() -> None:
    ours = [[a_search((0.0,), step=1.0)], [a_search((0.0,), step=4.0)]]
    theirs = [[a_search((0.0,), step=2.0)], [a_search((0.0,), step=2.0)]]
    assert ratio(ours, theirs).value == pytest.approx(1.0)


def test_a_search_stops_once_more_is_unlikely_but_not_before_enough_trials() -> None:
    count = FEWEST_TRIALS + 3
    chances = (0.01, *[0.5] * (count - 3), 0.01, 0.9)
    one = a_search((8.0,) * (count - 2) + (1.5, 0.0), chances=chances)
    assert stop_at(one, count) == count - 1
    assert stop_at(one, count - 2) is None
    found = stopping_of([one], count)
    assert found is not None
    assert (found.trials.value, found.gap.value, found.close, found.closer_than_twice) == (
        count - 1,
        1.5,
        0.0,
        1.0,
    )
    assert stopping_of([a_search((0.0,))], 3) is None


def test_intervals_are_students_and_wilsons() -> None:
    found = mean_of([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.303 / math.sqrt(3), rel=1e-3)
    none = share_of([False] * 10)
    assert none.low == pytest.approx(0.0, abs=1e-12)
    assert none.high == pytest.approx(0.2775, abs=1e-3)
