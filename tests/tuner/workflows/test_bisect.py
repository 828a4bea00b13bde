import itertools

import pytest

from tuner.workflows.bisect import smallest_set

NODES = [f"node{index}" for index in range(100)]


class Attempts:
    """Counts what is asked of a model in which these nodes must be kept."""

    def __init__(self, needed: set[str]) -> None:
        self.needed, self.asked = needed, 0

    def __call__(self, kept: tuple[str, ...]) -> bool:
        self.asked += 1
        return self.needed <= set(kept)


@pytest.mark.parametrize("places", [(0,), (1,), (99,), (0, 1), (0, 57), (3, 40, 99), (1, 2, 3, 4, 5)])
def test_exactly_the_nodes_that_are_needed_are_found(places: tuple[int, ...]) -> None:
    needed = {NODES[place] for place in places}
    found = smallest_set(NODES, Attempts(needed))
    assert found is not None
    assert set(found) == needed
    assert len(found) == len(needed)


def test_a_node_that_hurts_most_is_found_with_two_attempts() -> None:
    attempts = Attempts({"node0"})
    assert smallest_set(NODES, attempts) == ("node0",)
    assert attempts.asked == 2


def test_few_nodes_among_many_take_few_attempts() -> None:
    attempts = Attempts({"node7", "node60"})
    assert smallest_set(NODES, attempts) is not None
    assert attempts.asked < 40


def test_nothing_is_kept_where_nothing_must_be() -> None:
    assert smallest_set(NODES, Attempts(set())) == ()


def test_there_is_no_set_where_keeping_everything_does_not_help() -> None:
    assert smallest_set(NODES, Attempts({"elsewhere"})) is None
    assert smallest_set([], Attempts({"elsewhere"})) is None


def test_none_of_what_is_found_can_be_left_out_where_any_of_several_sets_would_do() -> None:
    pairs = [{"node3", "node50"}, {"node20", "node30"}]

    def attempt(kept: tuple[str, ...]) -> bool:
        return any(pair <= set(kept) for pair in pairs)

    found = smallest_set(NODES, attempt)
    assert found is not None
    assert attempt(found)
    assert not any(attempt(fewer) for fewer in itertools.combinations(found, len(found) - 1))
