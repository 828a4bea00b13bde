"""Nodes that a graph keeps in FP32: as many as asked of those that hurt most, and those that are named."""

from dataclasses import replace
from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto

from engines.core.errors import EngineError, UserError
from engines.graphs.context import KEPT_NODES
from engines.graphs.dimensions import Target
from engines.models import onnx_files
from tests.engines.graphs.recipes import ON_CPU, ON_GPU, RANKING, Maker


def _lowered_nodes(graph: ModelProto, names: list[str]) -> set[str]:
    """Which of the nodes read a weight that is in fewer than 32 bits, as it is or through Q/DQ."""
    types = {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    made_by = {name: node for node in graph.graph.node for name in node.output}

    def is_low(tensor: str) -> bool:
        maker = made_by.get(tensor)
        if maker is not None and maker.op_type == "Transpose":
            maker = made_by.get(maker.input[0])
        if maker is not None and maker.op_type == "DequantizeLinear":
            return True
        return types.get(tensor) in (TensorProto.FLOAT16, TensorProto.BFLOAT16)

    return {node.name for node in graph.graph.node if node.name in names and is_low(node.input[1])}


@pytest.mark.parametrize("precision", ["fp16", "int8", "fp8", "int4"])
@pytest.mark.parametrize("count", [1, 2])
def test_keep_fp32_keeps_the_most_sensitive_nodes(precision: str, count: int, mlp: Maker) -> None:
    products = ["Gemm_0", "Gemm_2", "Gemm_4"]
    ranked = mlp.ranked(precision)
    graph, kept = mlp.graph(precision, keep_fp32=count)
    assert kept == set(ranked[:count])
    assert _lowered_nodes(graph, products) == set(products) - kept


def test_keeping_more_costs_no_accuracy(mlp: Maker) -> None:
    errors = [mlp.error(mlp.graph("int8", keep_fp32=count)[0]) for count in (0, 1, 2)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 1.2


def test_on_a_cpu_they_are_kept_too(mlp: Maker) -> None:
    graph, kept = mlp.graph("int8", ON_CPU, keep_fp32=2)
    assert kept == set(mlp.ranked("int8")[:2])
    assert mlp.error(graph) < mlp.error(mlp.graph("int8", ON_CPU)[0])


def test_patterns_are_kept_besides_and_not_counted(mlp: Maker) -> None:
    worst, second, _ = mlp.ranked("int8")
    graph, kept = mlp.having(keep_fp32=(worst,)).graph("int8", keep_fp32=1)
    assert kept == {worst, second}
    assert len(_lowered_nodes(graph, [worst, second])) == 0
    _, kept = mlp.having(keep_fp32=("Gemm_[02]", "Relu")).graph("int8")
    assert {"Gemm_0", "Gemm_2"} < kept
    assert "Gemm_4" not in kept


@pytest.mark.parametrize(("patterns", "count", "left"), [((), 3, 3), ((), 9, 3), (("Gemm_0",), 2, 2)])
def test_a_count_that_leaves_nothing_to_lower_is_refused(
    patterns: tuple[str, ...], count: int, left: int, mlp: Maker
) -> None:
    with pytest.raises(EngineError, match=f"^keeping {count} of the {left} nodes that can be lowered"):
        mlp.having(keep_fp32=patterns).graph("int8", keep_fp32=count)


def test_a_negative_count_is_the_users_mistake(mlp: Maker) -> None:
    with pytest.raises(UserError, match="keep_fp32 is a number of nodes, not -1"):
        mlp.graph("int8", keep_fp32=-1)


@pytest.mark.parametrize("target", [ON_GPU, ON_CPU], ids=["gpu", "cpu"])
def test_patterns_that_leave_nothing_to_lower_are_refused(target: Target, mlp: Maker) -> None:
    with pytest.raises(EngineError, match="all of them are kept in FP32"):
        mlp.having(keep_fp32=("Gemm",)).graph("int8", target)


def test_nodes_that_bisecting_names_are_kept_as_they_are_written(mlp: Maker) -> None:
    _, kept = mlp.graph("int8", **{KEPT_NODES: "Gemm_4\nGemm_0"})
    assert kept == {"Gemm_0", "Gemm_4"}
    assert RANKING not in mlp.said
    assert mlp.graph("int8", **{KEPT_NODES: ""}) == mlp.graph("int8")
    assert mlp.graph("int8", **{KEPT_NODES: "Gemm_[02]"})[0] == mlp.graph("int8")[0], "no pattern"


def test_convolutions_that_int8_leaves_out_are_not_counted(cnn: Maker) -> None:
    """They stay as they are anyway."""
    target = replace(ON_GPU, refused={"int8": {"Conv": "the builder refuses them"}})
    graph, _ = cnn.graph("int8", target)
    products = ["classify", "first", "second", "y"]
    assert _lowered_nodes(graph, ["conv", *products]) == set(products)
    graph, kept = cnn.graph("int8", target, keep_fp32=3)
    assert len(kept) == 3
    assert "conv" not in kept
    assert _lowered_nodes(graph, products) == set(products) - kept
    with pytest.raises(EngineError, match="keeping 4 of the 4 nodes"):
        cnn.graph("int8", target, keep_fp32=4)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_operators_refused_in_16_bits_stay_in_fp32(precision: str, cnn: Maker) -> None:
    target = replace(ON_GPU, refused={"bf16": {"Relu": "the parser refuses it"}})
    graph, kept = cnn.graph(precision, target, high_precision="bf16")
    known = onnx_files.infer_shapes(graph)
    types = {node.op_type: known[node.output[0]][0] for node in graph.graph.node}
    assert (types["Relu"], types["GlobalAveragePool"]) == (TensorProto.FLOAT, TensorProto.BFLOAT16)
    assert kept == ({"relu"} if precision == "bf16" else set())


def test_graphs_for_backends_that_refuse_other_operators_are_other_graphs(cnn: Maker) -> None:
    target = replace(ON_GPU, refused={"bf16": {"Relu": "the parser refuses it"}})
    assert cnn.key("fp16", target) == cnn.key("fp16")
    assert cnn.key("bf16", target) != cnn.key("bf16")
    assert cnn.key("int8", target) == cnn.key("int8")
    for high in ("fp16", "bf16"):
        same = cnn.key("int8", target, high_precision=high) == cnn.key("int8", high_precision=high)
        assert same == (high == "fp16")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_ranking_is_made_once_for_all_counts(precision: str, mlp: Maker) -> None:
    mlp.graph(precision, keep_fp32=1)
    assert mlp.said.count(RANKING) == 1
    for count, high_precision in ((2, "fp32"), (1, "fp16")):
        mlp.graph(precision, keep_fp32=count, high_precision=high_precision)
        assert mlp.said.count(RANKING) == 0
    mlp.graph(precision, keep_fp32=1, simplify="onnxslim")
    assert mlp.said.count(RANKING) == 1, "another graph"


def test_a_spoiled_ranking_is_made_again(mlp: Maker, tmp_path: Path) -> None:
    made = mlp.graph("int8", keep_fp32=1)
    (file,) = (tmp_path / "caches").glob("sensitivity-*")
    file.write_bytes(file.read_bytes()[:20])
    assert mlp.graph("int8", keep_fp32=1) == made
    assert mlp.said.count(RANKING) == 1


def test_keeping_all_that_could_be_lowered_is_refused_but_for_a_bisection(mlp: Maker) -> None:
    with pytest.raises(EngineError, match="all of them are kept in FP32"):
        mlp.having(keep_fp32=("*",)).graph("fp16", ON_GPU)
    made, facts = mlp.graph("int8", ON_GPU, kept_nodes="\n".join(mlp.ranked("int8")))
    assert (mlp.error(made), facts) == (0.0, frozenset())
