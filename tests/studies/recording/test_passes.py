import pytest

from studies.recording.passes import order_of, schedule
from tuner.options.record import PASSES


@pytest.mark.parametrize(
    ("candidates", "passes", "expected"),
    [
        (2000, PASSES, [(200, 2), (100, 4), (50, 8)]),
        (600, 7, [(200, 1), (100, 2), (50, 4)]),
        (60, 14, [(20, 2), (10, 4), (5, 8)]),
        (600, 1, [(200, 1)]),
        (2, 14, [(1, 2), (1, 4), (1, 8)]),
        (600, 0, []),
    ],
)
def test_fewer_candidates_get_more_passes(
    candidates: int, passes: int, expected: list[tuple[int, int]]
) -> None:
    found = schedule(candidates, passes)
    assert found == expected
    assert sum(times for _, times in found) == passes


def test_each_pass_has_an_order_of_its_own() -> None:
    chosen = list(range(30))
    orders = [order_of(chosen, number, seed=0) for number in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == chosen
