"""Graphs as backends have them made: by settings, cached, and run on ONNX Runtime."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from engines.core.errors import EngineError
from engines.core.values import InputSource
from engines.graphs import dimensions
from engines.graphs.context import KEPT_NODES
from engines.graphs.dimensions import Target
from engines.graphs.passes import simplify, weight_only
from engines.models import onnx_files
from tests.engines.graphs import running
from tests.engines.graphs.recipes import ON_CPU, ON_GPU, Maker
from tests.workloads import example, file_at, workload_of

WEAK = Target(("fp32",), ("fp16",), elsewhere=("weak_fp16", "weak_int8_fp16", "weak_best"))


def _operators(graph: ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


# every precision

MADE = [
    ("fp16", "fp32", 2e-3),
    ("bf16", "fp32", 2e-2),
    ("int8", "fp32", 3e-2),
    ("int8", "fp16", 3e-2),
    ("fp8", "fp32", 8e-2),
    ("fp8", "fp16", 8e-2),
    ("int4", "fp32", 0.25),
    ("int4", "fp16", 0.25),
]


@pytest.mark.parametrize(("precision", "high_precision", "most"), MADE)
@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_every_precision_is_made_for_a_gpu_and_close_to_the_model(
    name: str, precision: str, high_precision: str, most: float, tmp_path: Path
) -> None:
    maker = Maker(tmp_path, example(name, tmp_path, **running.SHAPES[name]))
    graph, kept = maker.graph(precision, high_precision=high_precision)
    assert kept == frozenset()
    original = onnx.load(maker.workload.model.file.where).graph
    assert (graph.graph.input, graph.graph.output) == (original.input, original.output)
    types = {tensor.data_type for tensor in graph.graph.initializer}
    half = TensorProto.BFLOAT16 if precision == "bf16" else TensorProto.FLOAT16
    assert (half in types) == ("16" in precision + high_precision)
    assert ("DequantizeLinear" in _operators(graph)) == (precision in dimensions.QUANTIZED)
    if precision != "bf16":  # which ONNX Runtime's CPU has no kernels for
        assert 0 < maker.error(graph) < most


@pytest.mark.parametrize(("precision", "most"), [("int8", 3e-2), ("int4", 0.25)])
def test_every_precision_is_made_for_a_cpu_and_close_to_the_model(
    precision: str, most: float, mlp: Maker
) -> None:
    graph, _ = mlp.graph(precision, ON_CPU)
    assert "DequantizeLinear" in _operators(graph)
    assert 0 < mlp.error(graph) < most


@pytest.mark.parametrize("target", [ON_GPU, ON_CPU], ids=["gpu", "cpu"])
def test_every_way_to_take_ranges_gives_a_graph_of_its_own(target: Target, mlp: Maker) -> None:
    made = [mlp.graph("int8", target, calibration=method)[0] for method in dimensions.METHODS]
    assert all(0 < mlp.error(graph) < 6e-2 for graph in made)
    assert len({graph.SerializeToString(deterministic=True) for graph in made}) == len(made)


def test_making_it_again_gives_the_same_bytes(mlp: Maker) -> None:
    for target, precision in [(ON_GPU, "fp8"), (ON_GPU, "int4"), (ON_CPU, "int8")]:
        first, second = (mlp.graph(precision, target, keep_fp32=1)[0] for _ in range(2))
        assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_settings_that_do_not_matter_change_neither_name_nor_graph(mlp: Maker) -> None:
    plain = [mlp.key(precision, keep_fp32=kept) for precision in ("tf32", "fp32") for kept in (0, 4)]
    assert plain == [None] * 4
    idle = {"calibration": "entropy", "high_precision": "fp16"}
    assert mlp.key("fp16", **idle) == mlp.key("fp16")
    assert mlp.graph("fp16", **idle) == mlp.graph("fp16")
    moved = mlp.having(
        model=replace(mlp.workload.model, file=replace(mlp.workload.model.file, where="/elsewhere/mlp.onnx"))
    )
    assert moved.key("int8") == mlp.key("int8")


@pytest.mark.parametrize(
    "change",
    [
        {"keep_fp32": ("Gemm_2",)},
        {"calibration": InputSource(file=file_at("data.npz", "cd"))},
        {"inputs": InputSource(seed=1)},
        {"override_shapes": {"features": (4, 64)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_graph_name_changes_with_its_content(change: dict[str, object], mlp: Maker) -> None:
    assert mlp.having(**change).key("int8") != mlp.key("int8")


# static, simplified, elsewhere


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_overridden_shapes_are_static_in_every_graph(precision: str, mlp: Maker) -> None:
    maker = mlp.having(override_shapes={"features": (4, 64)})
    assert maker.key(precision) is not None
    graph, _ = maker.graph(precision)
    for value, shape in [(graph.graph.input[0], [4, 64]), (graph.graph.output[0], [4, 10])]:
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape
    assert maker.error(graph) < 3e-2


@pytest.mark.skipif(simplify.ONNXSLIM not in simplify.available(), reason="onnxslim is missing")
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_simplified_graph_has_less_to_do_and_is_lowered_all_the_same(
    precision: str, cnn: Maker, tmp_path: Path
) -> None:
    network = Maker(tmp_path, example("residual_cnn", tmp_path)) if precision == "fp32" else cnn
    assert network.key(precision, simplify="onnxslim") not in (None, network.key(precision))
    graph, kept = network.graph(precision, simplify="onnxslim", keep_fp32=int(precision == "int8"))
    assert network.error(graph) < (1e-5 if precision == "fp32" else 5e-2)
    assert len(kept) == int(precision == "int8")
    if precision == "fp32":
        assert "BatchNormalization" not in _operators(graph)


@pytest.mark.parametrize("precision", WEAK.elsewhere)
def test_builder_precisions_leave_the_graph_unchanged(precision: str, mlp: Maker) -> None:
    assert mlp.key(precision, WEAK) is None
    assert mlp.key(precision, WEAK, keep_fp32=1) is not None
    assert mlp.key(precision, WEAK, **{KEPT_NODES: "Gemm_0"}) is not None
    assert mlp.having(keep_fp32=("Gemm_0",)).key(precision, WEAK) is not None


def test_where_it_is_to_keep_nodes_the_graph_gives_them_names_and_no_more(mlp: Maker, tmp_path: Path) -> None:
    model = onnx.load(mlp.workload.model.file.where)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "nameless.onnx")
    maker = Maker(tmp_path, workload_of(tmp_path / "nameless.onnx", features=(4, 64)))
    graph, kept = maker.graph("weak_int8_fp16", WEAK, keep_fp32=1)
    assert kept == frozenset(), "the backend keeps them"
    onnx_files.name_nodes(model)
    assert graph.graph == model.graph


# what goes wrong


def test_converter_error_becomes_engine_error(mlp: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_: object) -> ModelProto:
        raise IndexError("list index\nout of range")

    monkeypatch.setattr(weight_only, "quantize_int4", trips)
    with pytest.raises(EngineError, match=r"^cannot make the int4 graph: .*list index out of range"):
        mlp.graph("int4")


def test_a_model_without_products_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    onnx.save(running.small_model([helper.make_node("Relu", ["x"], ["y"])], {}, shape=["n", 4]), path)
    for precision in ("int8", "fp8", "int4"):
        with pytest.raises(EngineError, match=f"no node can run in {precision}"):
            Maker(tmp_path, workload_of(path)).graph(precision)
