import numpy as np
import pytest

from engines.core.values import Dimension, Value
from studies.search import pool as pools
from studies.search.encoding import Encoding
from studies.search.pool import Pool

SPACE = (
    Dimension("precision", "graph", ("fp32", "int8"), "fp32", ""),
    Dimension("level", "build", (0, 1, 2), 0, ""),
    Dimension("cuda_graph", "run", (False, True), False, ""),
)
ENCODING = Encoding(SPACE)
RANDOM = np.random.default_rng(0)
NOTHING = np.zeros((0, 3), dtype=np.int64)


@pytest.fixture(params=["listed", "drawn"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool that knows every candidate, and one that has to draw them."""
    if request.param == "drawn":
        monkeypatch.setattr(pools, "MOST_LISTED", 5)
    return Pool(ENCODING, np.random.default_rng(0))


def _all(pool: Pool) -> set[tuple[int, ...]]:
    return {tuple(row) for _ in range(30) for row in pool.draw(100, NOTHING).tolist()}


def test_every_candidate_can_be_drawn(pool: Pool) -> None:
    assert _all(pool) == {tuple(row) for row in ENCODING.every().tolist()}


def test_what_was_seen_is_never_drawn_again(pool: Pool) -> None:
    pool.mark_seen((1, 1, 1))
    assert (1, 1, 1) not in _all(pool)
    assert len(_all(pool)) == 11


def test_a_pool_is_exhausted_when_everything_was_seen(pool: Pool) -> None:
    for row in ENCODING.every().tolist():
        assert not pool.is_exhausted
        pool.mark_seen(row)
    assert pool.is_exhausted


def test_what_needs_an_engine_that_cannot_be_made_is_left_out(pool: Pool) -> None:
    pool.forbid((2, 3, 1), np.array([0, 1]))
    assert not {(2, 3, 1), (2, 3, 2)} & _all(pool)
    assert len(_all(pool)) == 10


def test_inert_dimension_is_fixed_and_candidates_that_differ_only_in_it_are_seen(pool: Pool) -> None:
    pool.mark_seen((1, 2, 1))
    pool.leave_out(1, 1)
    assert _all(pool) == {(1, 1, 2), (2, 1, 1), (2, 1, 2)}


def test_only_what_is_listed_is_drawn() -> None:
    listed: list[dict[str, Value]] = [{"precision": "int8", "level": 2, "cuda_graph": True}]
    assert _all(Pool(ENCODING, RANDOM, listed)) == {(2, 3, 2)}


def test_neighbours_of_the_best_are_among_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_LISTED", 5)
    found = Pool(ENCODING, RANDOM).draw(20, np.array([[2, 3, 2]])).tolist()
    assert {(1, 3, 2), (2, 1, 2), (2, 2, 2), (2, 3, 1)} <= {tuple(row) for row in found}


def test_a_pool_of_what_cannot_be_made_is_exhausted(pool: Pool) -> None:
    for precision in (1, 2):
        assert not pool.is_exhausted
        pool.forbid((precision, 1, 1), np.array([0]))
    assert pool.is_exhausted


def test_a_large_space_that_shrinks_is_searched_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_LISTED", 5)
    pool = Pool(ENCODING, RANDOM)
    pool.leave_out(1, 2)
    assert _all(pool) == {(1, 2, 1), (1, 2, 2), (2, 2, 1), (2, 2, 2)}


def test_excluding_most_of_a_large_space_still_yields_draws() -> None:
    many = tuple(Dimension(f"d{number}", "build", tuple(range(6)), 0, "") for number in range(9))
    pool = Pool(Encoding(many), RANDOM)
    for place in range(4):
        pool.leave_out(place, 1)
    near = np.array([(1, 1, 1, 1, 3, 3, 3, 3, 3)])
    assert len(pool.draw(2000, near)) > 900
    assert len(pool.around(near)) == 5 * 5 + 1


def test_the_last_candidate_of_a_large_space_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_LISTED", 5)
    monkeypatch.setattr(pools, "ENOUGH", 4)
    pool = Pool(ENCODING, np.random.default_rng(3))
    tried = 0
    while not pool.is_exhausted:
        (row, *_) = pool.draw(4, NOTHING).tolist()
        pool.mark_seen(row)
        tried += 1
    assert tried == len(ENCODING.every())


def test_candidates_that_have_some_choices_are_found_while_any_is_left(pool: Pool) -> None:
    wanted = {0: 2, 2: 2}
    rows = {tuple(row) for row in pool.having(wanted).tolist()}
    assert (2, 1, 2) in rows
    assert all(row[0] == 2 and row[2] == 2 for row in rows)
    for level in (1, 2, 3):
        pool.mark_seen((2, level, 2))
    assert not len(pool.having(wanted))


GRAPH = np.array([0])


def test_what_was_postponed_comes_once_nothing_else_is_left(pool: Pool) -> None:
    pool.postpone((2, 1, 1), GRAPH)
    first = {row for row in _every() if row[0] == 1}
    assert _all(pool) == first
    for row in sorted(first):
        assert not pool.is_exhausted
        pool.mark_seen(row)
    pool.mark_seen((2, 1, 1))
    assert not pool.is_exhausted
    assert _all(pool) == _every() - first - {(2, 1, 1)}
    for row in _every() - first:
        pool.mark_seen(row)
    assert pool.is_exhausted


def test_what_is_postponed_no_longer_can_be_drawn_again_but_for_what_was_seen(pool: Pool) -> None:
    pool.postpone((2, 1, 1), GRAPH)
    pool.mark_seen((2, 1, 1))
    pool.postpone((1, 1, 1), GRAPH, waits=False)
    assert {row[0] for row in _all(pool)} == {1}
    pool.postpone((2, 1, 1), GRAPH, waits=False)
    assert _all(pool) == _every() - {(2, 1, 1)}


def test_what_was_postponed_stays_so_when_a_dimension_leaves_a_large_space(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "MOST_LISTED", 5)
    pool = Pool(ENCODING, np.random.default_rng(0))
    pool.postpone((2, 1, 1), GRAPH)
    pool.leave_out(1, 1)
    assert pool.is_listed
    assert _all(pool) == {(1, 1, 1), (1, 1, 2)}
    pool.mark_seen((1, 3, 1))
    pool.mark_seen((1, 2, 2))
    assert _all(pool) == {(2, 1, 1), (2, 1, 2)}


def _every() -> set[tuple[int, ...]]:
    return {tuple(row) for row in ENCODING.every().tolist()}
