import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from engines.core.values import Dimension, Value
from studies.core import space as spaces
from studies.core.space import Point
from studies.search import pool
from studies.search.observations import Earlier, Observation
from studies.search.searcher import CostWeight, Searcher

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", ""),
    Dimension("profile", "build", ("wide", "narrow", "static"), "wide", ""),
    Dimension("level", "build", (0, 1, 2, 3, 4, 5), 3, ""),
    Dimension("cuda_graph", "run", (False, True), False, ""),
    Dimension("streams", "run", (1, 2, 4, 8), 1, ""),
)
BASELINE = {one.name: one.default for one in SPACE}
EFFECTS = {"fp16": 0.6, "int8": 0.4, "narrow": 0.9, "static": 0.7, True: 0.8}


def _latency(point: Point) -> float:
    factors = [EFFECTS.get(point[name], 1.0) for name in ("precision", "profile", "cuda_graph")]
    more = (1 + 0.02 * abs(int(point["level"]) - 2)) * math.pow(int(point["streams"]), 0.1)
    return 10 * math.prod(factors) * more


def _observed(point: Point, *, limit: bool = True, build: float = 0.0) -> Observation:
    error = 0.03 if point["precision"] == "int8" else 1e-3
    margin = float(np.log(error / 0.01))
    return Observation(
        spaces.candidate_at(SPACE, point),
        (_latency(point),),
        (1e-6,),
        (margin,) if limit else (),
        seconds={"build": build, "measure": 1.0} if build else {"measure": 1.0},
    )


Observe = Callable[[Point], Observation]


def _search(searcher: Searcher, trials: int, observed: Observe = _observed) -> list[Point]:
    points: list[Point] = [BASELINE]
    searcher.add(observed(BASELINE))
    for _ in range(trials - 1):
        points.append(searcher.suggest())
        searcher.add(observed(points[-1]))
    return points


def _best(points: Sequence[Point], *, limit: bool = True) -> float:
    return min(_latency(one) for one in points if not limit or one["precision"] != "int8")


def _searcher(constraints: int = 1, seed: int = 0, **more: object) -> Searcher:
    return Searcher(SPACE, ["minimize"], constraints, seed, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_the_best_that_keeps_the_constraint_is_found_among_hundreds_within_thirty_trials(seed: int) -> None:
    every = [point for point in spaces.points(SPACE) if point["precision"] != "int8"]
    found = _best(_search(_searcher(seed=seed), 30))
    assert found < 1.01 * min(map(_latency, every))


def test_nothing_is_suggested_twice_until_all_was() -> None:
    searcher = _searcher()
    searcher.mark_seen(BASELINE)
    size = spaces.size(SPACE)
    seen = {tuple(BASELINE.values())}
    for _ in range(size - 1):
        point = searcher.suggest()
        searcher.mark_seen(point)
        seen.add(tuple(point.values()))
    assert len(seen) == size
    assert searcher.is_exhausted


def test_the_same_seed_and_trials_suggest_the_same() -> None:
    assert _search(_searcher(seed=3), 12) == _search(_searcher(seed=3), 12)


def test_larger_is_better_where_the_objective_says_so() -> None:
    searcher = Searcher(SPACE, ["maximize"], 0, 0)
    points = _search(searcher, 25, lambda point: _observed(point, limit=False))
    assert max(map(_latency, points)) > 0.99 * max(map(_latency, spaces.points(SPACE)))


def test_choices_that_miss_a_constraint_are_avoided() -> None:
    points = _search(_searcher(), 20)
    # of three precisions it is the fastest
    assert sum(point["precision"] == "int8" for point in points) <= 6


def test_a_graph_that_cannot_be_made_is_not_asked_for_again() -> None:
    def observed(point: Point) -> Observation:
        if point["precision"] == "fp16":
            return Observation(spaces.candidate_at(SPACE, point), None, (), (None,), failed="graph")
        return _observed(point)

    points = _search(_searcher(), 40, observed)
    assert sum(point["precision"] == "fp16" for point in points) == 1


def test_an_engine_that_cannot_be_built_is_not_asked_for_in_another_run() -> None:
    def observed(point: Point) -> Observation:
        if point["profile"] == "static":
            return Observation(spaces.candidate_at(SPACE, point), None, (), (None,), failed="build")
        return _observed(point)

    points = _search(_searcher(), 60, observed)
    engines = [(one["precision"], one["level"]) for one in points if one["profile"] == "static"]
    assert len(engines) == len(set(engines))


def test_choices_that_fail_are_avoided() -> None:
    def observed(point: Point) -> Observation:
        if point["cuda_graph"]:
            return Observation(spaces.candidate_at(SPACE, point), None, (), (None,), failed="measure")
        return _observed(point)

    points = _search(_searcher(), 20, observed)
    # a single failure is no proof
    assert sum(bool(point["cuda_graph"]) for point in points) <= 8


def test_choice_that_never_works_is_given_up_however_promising() -> None:
    def observed(point: Point) -> Observation:
        candidate = spaces.candidate_at(SPACE, point)
        if point["precision"] == "int8":
            return Observation(candidate, None, (), (), failed="check")
        error = 1e-3 if point["precision"] == "fp16" else 1e-6
        return Observation(candidate, (_latency(point), error), (1e-6, 1e-6), ())

    points = _search(Searcher(SPACE, ["minimize", "minimize"], 0, 0), 40, observed)
    assert 1 <= sum(point["precision"] == "int8" for point in points) <= 16


def test_expensive_builds_make_the_search_reuse_engines() -> None:
    def engines(fixed_share: float) -> int:
        searcher = _searcher(cost_weight=CostWeight(fixed_share))
        points = _search(searcher, 30, lambda point: _observed(point, build=300.0))
        return len({(one["precision"], one["profile"], one["level"]) for one in points})

    assert engines(0.0) < engines(1e6)


def test_study_of_a_similar_model_shows_where_to_begin() -> None:
    random = np.random.default_rng(0)
    every = list(spaces.points(SPACE))
    points = [BASELINE, *(every[int(place)] for place in random.permutation(len(every))[:60])]
    earlier = Earlier("other", 0.9, tuple(_observed(point) for point in points))
    assert _best(_search(_searcher(earlier=(earlier,)), 6)) < 1.05 * _best(every)


def test_baseline_outside_the_space_is_a_reference_but_not_a_candidate() -> None:
    fixed = (Dimension("precision", "graph", ("fp16",), "fp32", ""), *SPACE[1:])
    searcher = Searcher(fixed, ["minimize"], 1, 0)
    searcher.add(_observed(BASELINE))
    point = searcher.suggest()
    assert "precision" not in point
    searcher.add(_observed({"precision": "fp16", **point}))
    assert searcher.left_to_gain(0.01) is not None


def test_a_space_that_is_too_large_to_list_is_searched_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_LISTED", 10)
    points = _search(_searcher(), 30)
    assert len({tuple(point.items()) for point in points}) == 30
    assert _best(points) < 1.03 * _best(list(spaces.points(SPACE)))


def test_only_what_is_listed_is_suggested() -> None:
    listed: list[dict[str, Value]] = [dict(point) for point in spaces.points(SPACE) if point["level"] == 5]
    searcher = _searcher(listed=listed)
    assert all(point["level"] == 5 for point in _search(searcher, 10)[1:])


def test_a_dimension_that_is_left_out_stays_where_it_is() -> None:
    searcher = _searcher()
    searcher.add(_observed(BASELINE))
    searcher.leave_out("level", 3)
    assert all(point["level"] == 3 for point in _search(searcher, 10))


def test_little_is_left_to_gain_once_the_best_was_found() -> None:
    searcher = _searcher()
    searcher.add(_observed(BASELINE))
    early = searcher.left_to_gain(0.01)
    _search(searcher, 60)
    late = searcher.left_to_gain(0.01)
    assert early is not None
    assert late is not None
    assert early.gain > 0.05
    assert early.chance > 0.8
    assert late.gain < 0.005
    assert late.chance < 0.2


def test_nothing_is_left_to_gain_where_everything_was_tried() -> None:
    listed: list[dict[str, Value]] = [dict(point) for point in spaces.points(SPACE)][:3]
    searcher = _searcher(listed=listed)
    for point in listed:
        searcher.add(_observed(point))
    left = searcher.left_to_gain(0.01)
    assert left is not None
    assert left.gain == 0.0


def test_two_objectives_are_traded_against_each_other() -> None:
    def observed(point: Point) -> Observation:
        error = {"fp32": 1e-5, "fp16": 1e-3, "int8": 3e-2}[str(point["precision"])]
        return Observation(
            spaces.candidate_at(SPACE, point),
            (_latency(point), error),
            (1e-6, 1e-6),
            (),
            seconds={"measure": 1.0},
        )

    searcher = Searcher(SPACE, ["minimize", "minimize"], 0, 0)
    points = _search(searcher, 30, observed)
    for precision in ("fp32", "fp16", "int8"):
        best = min(_latency(point) for point in spaces.points(SPACE) if point["precision"] == precision)
        assert min(_latency(one) for one in points if one["precision"] == precision) < 1.05 * best
    assert searcher.left_to_gain(0.01) is None


def test_few_departures_from_the_defaults_are_tried_before_many() -> None:
    points = _search(_searcher(), 3)
    departures = [sum(point[one.name] != one.default for one in SPACE) for point in points[1:]]
    assert all(1 <= count <= 2 for count in departures)


def _advised(point: Point) -> bool:
    return (point["precision"], point["profile"], point["cuda_graph"]) == ("fp16", "static", True)


@pytest.mark.parametrize("most_listed", [pool.MOST_LISTED, 5])
def test_a_search_for_speed_begins_with_what_vendors_advise_and_the_defaults_besides(
    most_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_LISTED", most_listed)
    points = _search(_searcher(metrics=["latency_ms"]), 3)
    assert _advised(points[1])
    assert (points[1]["level"], points[1]["streams"]) == (3, 1)
    assert not any(_advised(point) for point in _search(_searcher(metrics=["error"]), 3))


def test_what_was_advised_and_tried_is_not_begun_with_again() -> None:
    tried = {**BASELINE, "precision": "fp16", "profile": "static", "cuda_graph": True, "level": 5}
    searcher = _searcher(metrics=["latency_ms"])
    for point in (BASELINE, tried):
        searcher.add(_observed(point))
    unadvised = _searcher()
    for point in (BASELINE, tried):
        unadvised.add(_observed(point))
    assert searcher.suggest() == unadvised.suggest()


@pytest.mark.parametrize("most_listed", [pool.MOST_LISTED, 5])
def test_what_cannot_be_built_is_not_advised(most_listed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_LISTED", most_listed)
    searcher = _searcher(metrics=["latency_ms"])
    searcher.add(_observed(BASELINE))
    candidate = spaces.candidate_at(SPACE, {**BASELINE, "precision": "fp16"})
    searcher.add(Observation(candidate, None, (), (None,), "graph", {"graph": 1.0}))
    assert searcher.suggest()["precision"] != "fp16"


@pytest.mark.parametrize("most_listed", [pool.MOST_LISTED, 1])
def test_a_space_without_some_default_has_the_first_choice_in_what_is_advised(
    most_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_LISTED", most_listed)
    level = Dimension("level", "build", (4, 5), 3, "")
    sizes = Dimension("size", "build", (1, 2), 2, "", applies_to={"precision": ("fp16",)})
    space = (SPACE[0], level, sizes, SPACE[3])
    searcher = Searcher(space, ["minimize"], 0, 0, metrics=["latency_ms"])
    advised = searcher.suggest()
    assert (advised["precision"], advised["size"], advised["cuda_graph"]) == ("fp16", 2, True)
    assert advised["level"] in (4, 5)


def test_what_is_being_tried_is_not_advised_again() -> None:
    searcher = _searcher(metrics=["latency_ms"])
    searcher.add(_observed(BASELINE))
    searcher.mark_seen(searcher.suggest())
    assert not _advised(searcher.suggest())


def test_vendor_advice_is_tried_whatever_a_similar_model_showed() -> None:
    every = tuple(_observed(point) for point in spaces.points(SPACE))
    searcher = _searcher(metrics=["latency_ms"], earlier=[Earlier("like", 0.9, every)])
    searcher.add(_observed(BASELINE))
    assert _advised(searcher.suggest())


def _pending(searcher: Searcher, count: int) -> list[Point]:
    """A batch that is asked for before any of it is known."""
    points: list[Point] = []
    for _ in range(count):
        points.append(searcher.suggest([spaces.candidate_at(SPACE, point) for point in points]))
    return points


def test_a_batch_names_no_candidate_twice_and_spreads_out() -> None:
    searcher, repeated = _searcher(), _searcher()
    for one in (searcher, repeated):
        _search(one, 12)
    batch = _pending(searcher, 6)
    assert len({tuple(point.values()) for point in batch}) == 6
    # of what is only marked as seen, the next is its like
    alike: list[Point] = []
    for _ in range(6):
        alike.append(repeated.suggest())
        repeated.mark_seen(alike[-1])
    assert _spread(batch) > _spread(alike)


def test_pending_trials_have_no_effect_once_they_are_finished() -> None:
    searcher, one_by_one = _searcher(), _searcher()
    for one in (searcher, one_by_one):
        _search(one, 12)
    found = searcher.suggest()
    assert found == one_by_one.suggest([])
    searcher.suggest([spaces.candidate_at(SPACE, found)])
    searcher.add(_observed(found))
    one_by_one.add(_observed(found))
    left = searcher.left_to_gain(0.01), one_by_one.left_to_gain(0.01)
    assert left[0] is not None
    assert left[1] is not None
    assert left[0].gain == pytest.approx(left[1].gain, abs=0.02)


def test_a_batch_of_two_objectives_can_be_asked_for() -> None:
    searcher = Searcher(SPACE, ["minimize", "minimize"], 0, 0)

    def observed(point: Point) -> Observation:
        latency = _latency(point)
        return Observation(spaces.candidate_at(SPACE, point), (latency, 1 / latency), (1e-6, 1e-6))

    _search(searcher, 8, observed)
    assert len({tuple(point.values()) for point in _pending(searcher, 5)}) == 5


def _spread(points: Sequence[Point]) -> float:
    """In how many dimensions two of them differ on average."""
    pairs = [(one, other) for place, one in enumerate(points) for other in points[:place]]
    return float(np.mean([sum(one[name] != other[name] for name in one) for one, other in pairs]))
