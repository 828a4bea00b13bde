import math
from collections.abc import Sequence

import pytest

from engines.core.values import Dimension
from studies.core.space import Point, candidate_at
from studies.search.encoding import Encoding
from studies.search.observations import Observation
from studies.search.ordering import Sparing
from studies.search.searcher import Searcher

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16"), "fp32", ""),
    Dimension("keep_fp32", "graph", (0, 1, 4), 0, "", applies_to={"precision": ("fp16",)}),
    Dimension("level", "build", (0, 1, 2, 3), 0, ""),
)
ENCODING = Encoding(SPACE)
LIMIT = 0.01


def _row(precision: str, keep: int) -> Sequence[int]:
    return ENCODING.codes({"precision": precision, "keep_fp32": keep, "level": 0})


def _learnt(sparing: Sparing, precision: str, keep: int, *, kept: bool) -> dict[object, bool]:
    """Whether each graph that keeps more nodes is spared now."""
    found: dict[object, bool] = {}
    for row, is_spared in sparing.learn(_row(precision, keep), kept=kept):
        point = ENCODING.point(row)
        assert (point["precision"], point["level"]) == (precision, 0)
        found[point["keep_fp32"]] = is_spared
    return found


def test_graphs_with_more_fp32_nodes_are_postponed_while_fewer_suffice() -> None:
    sparing = Sparing(ENCODING, ["latency_ms"])
    assert _learnt(sparing, "fp32", 0, kept=True) == {}
    assert _learnt(sparing, "fp16", 1, kept=True) == {4: True}
    assert _learnt(sparing, "fp16", 0, kept=False) == {1: False, 4: True}
    assert _learnt(sparing, "fp16", 0, kept=True) == {1: False, 4: True}
    assert _learnt(sparing, "fp16", 1, kept=False) == {4: False}
    assert _learnt(sparing, "fp16", 4, kept=True) == {}


@pytest.mark.parametrize("metrics", [[], ["error"], ["latency_ms", "error"], ["latency_ms", "engine_bytes"]])
def test_nothing_is_postponed_with_an_objective_other_than_speed(metrics: list[str]) -> None:
    assert _learnt(Sparing(ENCODING, metrics), "fp16", 0, kept=True) == {}


def _tried(errors: dict[int, float], trials: int, *, worst_level: int | None = None) -> list[Point]:
    """What a search tries after the baseline, where so many kept nodes have these errors, a hundred times as
    large at the worst level.
    """
    searcher = Searcher(SPACE, ["minimize"], 1, 0, metrics=["latency_ms"])
    point: Point = {"precision": "fp32", "keep_fp32": 0, "level": 0}
    points: list[Point] = []
    for _ in range(trials):
        is_low = point["precision"] == "fp16"
        error = errors[int(point["keep_fp32"])] if is_low else 1e-4
        error *= 100 if point["level"] == worst_level else 1
        latency = (0.5 + 0.01 * int(point["keep_fp32"]) if is_low else 1.0) + 0.001 * int(point["level"])
        searcher.add(Observation(candidate_at(SPACE, point), (latency,), (1e-6,), (math.log(error / LIMIT),)))
        if searcher.is_exhausted:
            break
        point = searcher.suggest()
        points.append(point)
    return points


def test_fp32_nodes_are_tried_last_when_the_limit_is_met_without() -> None:
    points = _tried({0: 1e-3, 1: 1e-4, 4: 1e-5}, 100)
    assert len(points) == 4 + 3 * 4 - 1
    assert not any(point["keep_fp32"] for point in points[: 4 + 4 - 1])


def test_nodes_are_kept_where_the_limit_is_missed_without_but_no_more_than_enough() -> None:
    points = _tried({0: 1e-1, 1: 1e-3, 4: 1e-5}, 10)
    assert 1 in [point["keep_fp32"] for point in points]
    assert 4 not in [point["keep_fp32"] for point in points[points.index(_first_keeping(points, 1)) :]]


def test_nodes_are_kept_for_a_build_that_needs_it_where_others_do_not() -> None:
    points = _tried({0: 1e-3, 1: 1e-5, 4: 1e-5}, 9, worst_level=0)
    assert {"precision": "fp16", "keep_fp32": 1, "level": 0} in points


def _first_keeping(points: Sequence[Point], count: int) -> Point:
    return next(point for point in points if point["keep_fp32"] == count)
