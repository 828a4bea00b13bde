import onnx
import pytest
from onnx import helper

from engines.graphs.passes.selection import matching, unmatched


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="/block[0]/conv"),
        helper.make_node("Relu", ["a"], ["b"], name="/block[0]/act"),
        helper.make_node("LayerNormalization", ["b", "s"], ["c"], name="/norm"),
    ]
    return helper.make_model(helper.make_graph(nodes, "named", [], []))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/norm", {"/norm"}),
        ("LayerNorm*", {"/norm"}),
        ("*/act", {"/block[0]/act"}),
        ("Conv", {"/block[0]/conv"}),
        ("/block[0]/*", set()),
        ("/block[[]0]/*", {"/block[0]/conv", "/block[0]/act"}),
        ("/block[0]/conv", {"/block[0]/conv"}),
        ("conv", set()),
    ],
)
def test_a_pattern_names_nodes_by_name_or_operator(
    model: onnx.ModelProto, pattern: str, found: set[str]
) -> None:
    assert matching(model, [pattern]) == found


def test_several_patterns_name_the_nodes_of_each(model: onnx.ModelProto) -> None:
    assert matching(model, ["Relu", "/norm"]) == {"/block[0]/act", "/norm"}
    assert matching(model, []) == frozenset()


def test_patterns_that_name_nothing_are_told(model: onnx.ModelProto) -> None:
    assert unmatched(model, ["Relu", "Gelu", "/norm", "/nrom"]) == ("Gelu", "/nrom")
