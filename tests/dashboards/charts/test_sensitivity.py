import math

import pytest

from dashboards.charts import sensitivity
from dashboards.charts.sensitivity import Sensitivity
from engines.core.results import NodeError

NODES = (
    NodeError("/layer[3]/MatMul", "MatMul", math.inf),
    NodeError("/a<b>&c", "Conv", 0.02),
    NodeError("head", "Gemm", 0.004),
    NodeError("idle", "Relu", 0.0),
)


def _data(*nodes: NodeError, most: int = 20) -> Sensitivity:
    return Sensitivity("net.onnx", "int8", nodes, most)


def test_the_most_hurtful_is_on_top_and_what_has_no_end_is_longest() -> None:
    (bars,) = sensitivity.draw(_data(*NODES)).views[""].data
    assert [name.partition(". ")[0] for name in bars.y] == ["4", "3", "2", "1"]
    assert bars.y[-1] == "1. /layer[3]/MatMul"
    assert all(math.isfinite(length) for length in bars.x)
    assert list(bars.x) == sorted(bars.x)
    assert list(bars.text) == ["0", "0.00400", "0.0200", "NaN or infinite"]
    assert bars.marker.color[-1] != bars.marker.color[0]


def test_the_axis_is_logarithmic_and_no_bar_begins_at_its_end() -> None:
    axis = sensitivity.draw(_data(*NODES)).views[""].layout.xaxis
    assert axis.type == "log"
    low, high = axis.range
    assert low < math.log10(0.004)
    assert high > math.log10(0.02)


@pytest.mark.parametrize(
    ("nodes", "title"),
    [
        (NODES[:1], "/layer[3]/MatMul alone makes the outputs NaN or infinite"),
        ((NODES[0], NODES[0]), "/layer[3]/MatMul alone makes the outputs NaN or infinite, and so do 1 more"),
        (NODES[1:], "/a<b>&c hurts most: error 0.0200 by itself"),
        (NODES[3:], "No node changes the outputs in int8"),
    ],
)
def test_the_title_says_what_was_found(nodes: tuple[NodeError, ...], title: str) -> None:
    assert sensitivity.draw(_data(*nodes)).title == title


def test_nodes_beyond_those_asked_for_are_left_out_and_counted() -> None:
    drawing = sensitivity.draw(_data(*NODES, most=2))
    assert len(drawing.views[""].data[0].y) == 2
    assert "4 nodes in all" in drawing.note
    assert "2 that hurt less" in drawing.note
