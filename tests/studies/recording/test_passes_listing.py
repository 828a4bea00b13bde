import pytest

from engines.core.values import Dimension
from studies.core import space as spaces
from studies.recording import passes as listing_module
from studies.recording.passes import Listing, random_points

SPACE = (
    Dimension("precision", "graph", ("fp32", "int8"), "fp32", ""),
    Dimension(
        "calibration", "graph", ("minmax", "entropy"), "minmax", "", applies_to={"precision": ("int8",)}
    ),
    Dimension("fixed", "build", (1,), 1, ""),
    Dimension("streams", "run", (1, 2, 4), 1, ""),
)


def test_points_are_suggested_in_the_order_given_until_none_is_left() -> None:
    order = random_points(SPACE, 99, seed=1)
    listing, found = Listing(SPACE, order), []
    while not listing.is_exhausted:
        found.append(listing.suggest())
        listing.mark_seen(spaces.settled(SPACE, found[-1]))
    assert found == [spaces.point_of(SPACE, point) for point in order]
    assert len(found) == spaces.size(SPACE) == 9


def test_seen_points_are_left_out_and_points_outside_ignored() -> None:
    listing = Listing(SPACE, random_points(SPACE, 99, seed=1))
    first = listing.suggest()
    listing.mark_seen({**spaces.settled(SPACE, first), "fixed": 2})
    assert listing.suggest() == first
    listing.mark_seen(spaces.settled(SPACE, first))
    assert listing.suggest() != first


@pytest.mark.parametrize("most", [50_000, 0])
def test_random_points_are_different_candidates_in_an_order_of_the_seed(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "MOST_LISTED", most)
    one, same, other = (random_points(SPACE, 7, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert len({spaces.candidate_at(SPACE, point) for point in one}) == 7
    assert all(spaces.settled(SPACE, point) == point for point in one)


def test_no_more_points_are_drawn_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_module, "MOST_LISTED", 0)
    assert len(random_points(SPACE, 99, seed=1)) == spaces.size(SPACE)
