import pytest

from engines.values import Dimension
from studies.advice import advised
from studies.encoding import Encoding

PRECISION = Dimension("precision", "graph", ("tf32", "fp16", "bf16", "int8"), "tf32", "")
PROFILE = Dimension("profile", "build", ("wide", "narrow", "static"), "wide", "")
LEVEL = Dimension("level", "build", (2, 3), 3, "")
GRAPH = Dimension("cuda_graph", "run", (False, True), False, "")
BATCH = Dimension("batch", "build", (1, 8, 64), 8, "")


def test_all_that_is_advised_comes_together_once_for_each_precision() -> None:
    encoding = Encoding((PRECISION, PROFILE, LEVEL, GRAPH))
    assert advised(encoding, "latency_ms") == [{0: 2, 1: 3, 3: 2}, {0: 3, 1: 3, 3: 2}]


@pytest.mark.parametrize("metric", ["error", "engine_bytes", "my_score"])
def test_nothing_is_advised_for_what_is_no_speed(metric: str) -> None:
    assert advised(Encoding((PRECISION, GRAPH)), metric) == []


def test_nothing_is_advised_where_nothing_is_to_be_chosen() -> None:
    assert advised(Encoding((LEVEL,)), "latency_ms") == []
    assert advised(Encoding(()), "latency_ms") == []


def test_the_largest_batch_is_advised_for_throughput_only() -> None:
    assert advised(Encoding((BATCH,)), "throughput") == [{0: 3}]
    assert advised(Encoding((BATCH,)), "latency_ms") == []


def test_a_model_that_came_in_16_bits_or_fewer_has_no_reason_for_others() -> None:
    for default in ("fp16", "int8"):
        arrived = Dimension("precision", "graph", ("fp16", "bf16", "int8"), default, "")
        assert advised(Encoding((arrived,)), "latency_ms") == []
