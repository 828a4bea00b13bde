import pytest

from engines.core.values import Dimension
from studies.search.encoding import Encoding
from studies.search.ordering import Advice

PRECISION = Dimension("precision", "graph", ("tf32", "fp16", "bf16", "int8"), "tf32", "")
PROFILE = Dimension("profile", "build", ("wide", "narrow", "static"), "wide", "")
LEVEL = Dimension("level", "build", (2, 3), 3, "")
GRAPH = Dimension("cuda_graph", "run", (False, True), False, "")
BATCH = Dimension("batch", "build", (1, 8, 64), 8, "")
SPEEDS = ["latency_ms"]


def _advice(*dimensions: Dimension, metrics: list[str] = SPEEDS) -> Advice:
    return Advice(Encoding(dimensions), metrics)


def test_all_that_is_advised_comes_together_once_for_each_precision() -> None:
    assert _advice(PRECISION, PROFILE, LEVEL, GRAPH).left == [{0: 2, 1: 3, 3: 2}, {0: 3, 1: 3, 3: 2}]


@pytest.mark.parametrize("metrics", [["error"], ["engine_bytes"], ["my_score"], []])
def test_no_advice_unless_an_objective_is_a_speed(metrics: list[str]) -> None:
    assert _advice(PRECISION, GRAPH, metrics=metrics).left == []


def test_of_several_objectives_a_speed_is_enough() -> None:
    assert _advice(GRAPH, metrics=["error", "latency_ms"]).left == [{0: 2}]


def test_no_advice_for_a_space_without_choices() -> None:
    assert _advice(LEVEL).left == _advice().left == []


def test_for_throughput_the_largest_batch_is_advised_and_the_rest_without_it_too() -> None:
    assert _advice(GRAPH, BATCH, metrics=["throughput"]).left == [{0: 2, 1: 3}, {0: 2}]
    assert _advice(BATCH, metrics=["throughput"]).left == [{0: 3}]
    assert _advice(BATCH).left == []


def test_a_model_that_came_in_16_bits_or_fewer_has_no_reason_for_others() -> None:
    for default in ("fp16", "int8"):
        arrived = Dimension("precision", "graph", ("fp16", "bf16", "int8"), default, "")
        assert _advice(arrived).left == []


def test_advice_is_done_once_the_full_combination_works() -> None:
    advice = _advice(PRECISION, BATCH, metrics=["throughput"])
    advice.mark_tried((2, 3), works=True)
    assert advice.left == [{0: 3, 1: 3}, {0: 3}]


def test_what_fails_with_the_largest_batch_is_tried_with_another() -> None:
    advice = _advice(PRECISION, BATCH, metrics=["throughput"])
    for _ in range(2):
        advice.mark_tried((2, 3), works=False)
    assert advice.left == [{0: 3, 1: 3}, {0: 2}, {0: 3}]
    advice.mark_tried((2, 1), works=False)
    assert advice.left == [{0: 3, 1: 3}, {0: 3}]


def test_part_of_the_advice_does_not_count_as_tried() -> None:
    advice = _advice(PRECISION, GRAPH)
    before = list(advice.left)
    for row in ((1, 2), (2, 1), (4, 2)):
        advice.mark_tried(row, works=True)
    assert advice.left == before
