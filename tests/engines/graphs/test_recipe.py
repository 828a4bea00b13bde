"""Graphs as backends have them made: by settings, cached, and run on ONNX Runtime."""

import json
import sys
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from engines.errors import EngineError, UserError
from engines.graphs import choices, modelopt, onnx_files, qdq, recipe, simplification, sites
from engines.graphs.choices import Target
from engines.graphs.lowering import lower
from engines.graphs.making import KEPT_NODES, Making
from engines.inputs import make_inputs
from engines.values import Dimension, InputSource, Settings, Value, Workload
from examples import models
from tests.engines.graphs import running
from tests.engines.graphs.test_modelopt import STAND_IN, WRITES
from tests.workloads import example, tiny_conv, workload_of

ON_GPU = Target(("tf32", "fp32"), ("fp16", "bf16", "int8", "fp8", "int4"), high_precision=("fp16", "fp32"))
ON_CPU = Target(("fp32",), ("int8", "int4"), excluded={"fp16": "no kernels"}, is_cpu=True)
WEAK = Target(("fp32",), ("fp16",), elsewhere=("weak_fp16", "weak_int8_fp16", "weak_best"))
DEFAULTS = Settings(
    keep_fp32=0, calibration="minmax", high_precision="fp32", converter="builtin", simplify="none"
)
# said once each time
RANKING, CALIBRATING = "loading the model", "calibrating"


@dataclass(frozen=True)
class Maker:
    """Makes graphs of one workload as a backend would, and notes what it was told meanwhile."""

    folder: Path
    workload: Workload
    said: list[str] = field(default_factory=list)

    def graph(
        self, precision: str, target: Target = ON_GPU, /, **settings: Value
    ) -> tuple[ModelProto, frozenset[str]]:
        """The graph, and the names of the nodes that it says were kept."""
        self.said.clear()
        chosen = Settings(DEFAULTS, precision=precision, **settings)
        file, caches = self.folder / "made" / "graph.onnx", self.folder / "caches"
        for folder in (file.parent, caches):
            folder.mkdir(exist_ok=True)
        facts = recipe.make_graph(target, self.workload, chosen, file, caches, self.said.append)
        assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing else is left"
        return onnx.load(file), frozenset(str(facts.get("kept_fp32", "")).split())

    def key(self, precision: str, target: Target = ON_GPU, /, **settings: Value) -> object:
        return recipe.graph_key(target, self.workload, Settings(DEFAULTS, precision=precision, **settings))

    def ranked(self, precision: str, **settings: Value) -> list[str]:
        chosen = Settings(DEFAULTS, precision=precision, **settings)
        making = Making(self.workload, chosen, self.folder / "caches", self.said.append)
        (self.folder / "caches").mkdir(exist_ok=True)
        return [one.node for one in recipe.ranking(making, recipe.prepared(making))]

    def error(self, graph: ModelProto) -> float:
        """How far its outputs are from the model's."""
        feeds = make_inputs(self.workload, self.workload.batch)[0]
        return running.relative_error(
            running.run(graph, feeds), running.run(onnx.load(self.workload.model.path), feeds)
        )

    def having(self, **changes: object) -> "Maker":
        return Maker(self.folder, replace(self.workload, **changes))  # type: ignore[arg-type]


@pytest.fixture
def mlp(tmp_path: Path) -> Maker:
    return Maker(tmp_path, example("mlp", tmp_path, features=(4, 64)))


@pytest.fixture
def cnn(tmp_path: Path) -> Maker:
    """A convolution behind which there are enough products for int8 and int4 without it."""
    path = tiny_conv(tmp_path)
    model = onnx.load(path)
    model.graph.output[0].name = "classified"
    model.graph.node[-1].output[0] = "classified"
    random = np.random.default_rng(8)
    names = ["classified", "first", "second", "y"]
    for before, after in pairwise(names):
        weight = random.normal(size=(5, 5)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(weight, f"{after}_weight"))
        model.graph.node.append(helper.make_node("MatMul", [before, f"{after}_weight"], [after], name=after))
    model.graph.output[0].name = "y"
    onnx.save(model, path)
    return Maker(tmp_path, workload_of(path))


@pytest.fixture(scope="module")
def workloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workload]:
    """Of examples, only to be looked at."""
    folder = tmp_path_factory.mktemp("examples")
    return {name: example(name, folder) for name in ("mlp", "residual_cnn", "transformer")}


def _operators(graph: ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


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


def _by_name(dimensions: tuple[Dimension, ...]) -> dict[str, Dimension]:
    return {dimension.name: dimension for dimension in dimensions}


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
    original = onnx.load(maker.workload.model.path).graph
    assert (graph.graph.input, graph.graph.output) == (original.input, original.output)
    types = {tensor.data_type for tensor in graph.graph.initializer}
    half = TensorProto.BFLOAT16 if precision == "bf16" else TensorProto.FLOAT16
    assert (half in types) == ("16" in precision + high_precision)
    assert ("DequantizeLinear" in _operators(graph)) == (precision in choices.QUANTIZED)
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
    made = [mlp.graph("int8", target, calibration=method)[0] for method in choices.METHODS]
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
    moved = mlp.having(model=replace(mlp.workload.model, path="/elsewhere/mlp.onnx"))
    assert moved.key("int8") == mlp.key("int8")


@pytest.mark.parametrize(
    "change",
    [
        {"keep_fp32": ("Gemm_2",)},
        {"calibration": InputSource(path="data.npz", digest="cd")},
        {"inputs": InputSource(seed=1)},
        {"override_shapes": {"features": (4, 64)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_graph_changes_its_name(change: dict[str, object], mlp: Maker) -> None:
    assert mlp.having(**change).key("int8") != mlp.key("int8")


# what is kept in FP32


@pytest.mark.parametrize("precision", ["fp16", "int8", "fp8", "int4"])
@pytest.mark.parametrize("count", [1, 2])
def test_as_many_as_asked_of_those_that_hurt_most_are_kept(precision: str, count: int, mlp: Maker) -> None:
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
    with pytest.raises(EngineError, match="all of it is kept in FP32"):
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
def test_what_a_backend_does_not_take_in_16_bits_stays_in_fp32(precision: str, cnn: Maker) -> None:
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


# what is kept for later


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


# what there is to choose


def test_a_gpu_has_all_of_it_and_the_defaults_are_the_first(workloads: dict[str, Workload]) -> None:
    found = _by_name(choices.dimensions(ON_GPU, workloads["mlp"]))
    assert found["precision"].choices == (*ON_GPU.plain, *ON_GPU.lowered)
    assert found["precision"].default == "tf32"
    assert found["keep_fp32"].choices == (0, 1)
    assert found["keep_fp32"].applies_to == {"precision": ON_GPU.lowered}
    assert found["calibration"].applies_to == {"precision": ("int8", "fp8")}
    assert found["high_precision"].applies_to == {"precision": ("int8", "fp8", "int4")}
    assert all(dimension.kind == "graph" for dimension in found.values())
    assert all(dimension.default == dimension.choices[0] for dimension in found.values())


def test_a_cpu_says_what_it_lacks(workloads: dict[str, Workload]) -> None:
    found = _by_name(choices.dimensions(ON_CPU, workloads["mlp"]))
    assert found["precision"].choices == ("fp32", "int8", "int4")
    assert found["precision"].excluded == {"fp16": "no kernels"}
    assert "high_precision" not in found


def test_where_nothing_is_lowered_there_is_nothing_more_to_choose(workloads: dict[str, Workload]) -> None:
    found = choices.dimensions(Target(("fp32",), ()), workloads["mlp"])
    assert [dimension.name for dimension in found] == ["precision", "simplify"]


@pytest.mark.parametrize(
    ("operators", "wanted"),
    [
        ({}, (0,)),
        ({"Conv": 1}, (0,)),
        ({"Conv": 2}, (0, 1)),
        ({"Conv": 7, "Gemm": 1, "Relu": 90}, (0, 1, 4)),
        ({"MatMul": 127}, (0, 1, 4, 16)),
        ({"MatMul": 1000}, (0, 1, 4, 16, 64)),
    ],
)
def test_no_more_than_half_of_what_is_worth_lowering_may_be_kept(
    operators: dict[str, int], wanted: tuple[int, ...], workloads: dict[str, Workload]
) -> None:
    workload = workloads["mlp"]
    changed = replace(workload, model=replace(workload.model, operators=operators))
    assert choices.kept_choices(changed) == wanted


def test_models_with_few_products_are_in_no_precision_that_is_for_them(
    workloads: dict[str, Workload],
) -> None:
    target = replace(ON_GPU, refused={"int8": {"Conv": "the builder refuses them"}})
    network, other = workloads["residual_cnn"], workloads["transformer"]
    few = _by_name(choices.dimensions(target, network))["precision"]
    assert not {"int8", "int4"} & set(few.choices)
    assert few.excluded["int8"] == "the builder refuses them"
    assert few.excluded["int4"] == "it is for the weights of products, and of those the model has 1"
    assert "int8" in _by_name(choices.dimensions(ON_GPU, network))["precision"].choices
    many = _by_name(choices.dimensions(target, other))["precision"]
    assert (many.choices, many.excluded) == ((*target.plain, *target.lowered), {})


def test_what_a_target_lacks_for_another_reason_keeps_that_reason(workloads: dict[str, Workload]) -> None:
    target = Target(("fp32",), ("fp16",), excluded={"int4": "too old"})
    found = _by_name(choices.dimensions(target, workloads["residual_cnn"]))["precision"]
    assert found.excluded == {"int4": "too old"}


@pytest.mark.parametrize("how", ["quantized", "fp16"])
def test_a_model_that_arrived_lowered_is_only_taken_as_given(how: str, mlp: Maker, tmp_path: Path) -> None:
    model = onnx.load(mlp.workload.model.path)
    ranges = {site.tensor: 1.0 for site in sites.sites(model, "int8")}
    nothing: frozenset[str] = frozenset()
    arrived = (
        qdq.insert_qdq(model, "int8", ranges, nothing)
        if how == "quantized"
        else lower(model, "fp16", nothing)
    )
    onnx.save(arrived, tmp_path / "arrived.onnx")
    maker = Maker(tmp_path, workload_of(tmp_path / "arrived.onnx", features=(4, 64)))
    found = _by_name(choices.dimensions(ON_GPU, maker.workload))
    assert list(found) == ["precision", "simplify"]
    assert (found["precision"].choices, found["precision"].default) == (("given",), "given")
    assert found["precision"].excluded["fp32"] == f"the model arrived {how} and is kept as it is"
    assert set(found["precision"].excluded) == {*ON_GPU.plain, *ON_GPU.lowered}
    assert maker.key("given") is None


# static, simplified, elsewhere


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_overridden_shapes_are_static_in_every_graph(precision: str, mlp: Maker) -> None:
    maker = mlp.having(override_shapes={"features": (4, 64)})
    assert maker.key(precision) is not None
    graph, _ = maker.graph(precision)
    for value, shape in [(graph.graph.input[0], [4, 64]), (graph.graph.output[0], [4, 10])]:
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == shape
    assert maker.error(graph) < 3e-2


@pytest.mark.skipif(simplification.ONNXSLIM not in simplification.available(), reason="onnxslim is missing")
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
def test_what_the_backend_lowers_by_itself_leaves_the_graph_alone(precision: str, mlp: Maker) -> None:
    assert mlp.key(precision, WEAK) is None
    assert mlp.key(precision, WEAK, keep_fp32=1) is not None
    assert mlp.key(precision, WEAK, **{KEPT_NODES: "Gemm_0"}) is not None
    assert mlp.having(keep_fp32=("Gemm_0",)).key(precision, WEAK) is not None


def test_where_it_is_to_keep_nodes_the_graph_gives_them_names_and_no_more(mlp: Maker, tmp_path: Path) -> None:
    model = onnx.load(mlp.workload.model.path)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, tmp_path / "nameless.onnx")
    maker = Maker(tmp_path, workload_of(tmp_path / "nameless.onnx", features=(4, 64)))
    graph, kept = maker.graph("weak_int8_fp16", WEAK, keep_fp32=1)
    assert kept == frozenset(), "the backend keeps them"
    onnx_files.name_nodes(model)
    assert graph.graph == model.graph


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("fp32", "fp32"),
        ("tf32", "tf32"),
        ("bf16", "bf16"),
        ("weak_fp16", "fp16"),
        ("weak_int8_fp16", "int8"),
        ("weak_best", "int8"),
        ("weak_fp8", "fp8"),
    ],
)
def test_the_lowest_type_of_a_precision_is_what_nodes_are_ranked_in(name: str, base: str) -> None:
    assert choices.base_precision(name) == base


# NVIDIA ModelOpt


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Python that writes down what it is asked and answers with answer.onnx."""
    folder = tmp_path / "other"
    folder.mkdir()
    python = folder / "python"
    python.write_text(STAND_IN.format(python=sys.executable, folder=str(folder), does=WRITES))
    python.chmod(0o755)
    monkeypatch.setenv(modelopt.VARIABLE, str(python))
    return folder


def _asked(folder: Path) -> list[str]:
    arguments: list[str] = json.loads((folder / "call-0.json").read_bytes())["arguments"]
    return arguments


def test_modelopt_may_lower_instead_where_it_is_there(mlp: Maker, stand_in: Path) -> None:
    found = _by_name(choices.dimensions(ON_GPU, mlp.workload))["converter"]
    assert found.choices == ("builtin", "modelopt")
    assert found.applies_to == {"precision": ON_GPU.lowered}
    assert "converter" not in _by_name(choices.dimensions(ON_CPU, mlp.workload))
    assert mlp.key("int8", converter="modelopt") != mlp.key("int8")


def test_modelopt_is_told_what_to_keep_and_how_to_take_ranges(mlp: Maker, stand_in: Path) -> None:
    ranges = {site.tensor: 1.0 for site in sites.sites(models.mlp(), "int8")}
    answer = qdq.insert_qdq(models.mlp(), "int8", ranges, frozenset())
    onnx.save(answer, stand_in / "answer.onnx")
    graph, kept = mlp.graph("int8", converter="modelopt", calibration="entropy", keep_fp32=1)
    assert graph == answer
    assert kept == set(mlp.ranked("int8")[:1])
    asked = _asked(stand_in)
    assert asked[asked.index("--quantize_mode") + 1] == "int8"
    assert asked[asked.index("--calibration_method") + 1] == "entropy"
    assert asked[asked.index("--nodes_to_exclude") + 1] == f"^{next(iter(kept))}$"
    assert "--calibration_data_path" in asked


def test_modelopt_casts_by_a_tool_of_its_own(mlp: Maker, stand_in: Path) -> None:
    onnx.save(lower(models.mlp(), "fp16", frozenset()), stand_in / "answer.onnx")
    graph, _ = mlp.graph("fp16", converter="modelopt")
    assert graph == onnx.load(stand_in / "answer.onnx")
    assert _asked(stand_in)[:2] == ["-m", "modelopt.onnx.autocast"]


def test_modelopt_that_went_away_is_a_failed_candidate(mlp: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelopt, "find", lambda: None)
    with pytest.raises(EngineError, match="is not there any more"):
        mlp.graph("int8", converter="modelopt")


# what goes wrong


def test_what_a_converter_trips_over_is_a_failed_candidate(
    mlp: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trips(*_: object) -> ModelProto:
        raise IndexError("list index\nout of range")

    monkeypatch.setattr("engines.graphs.weight_only.quantize_int4", trips)
    with pytest.raises(EngineError, match=r"^cannot make the int4 graph: .*list index out of range"):
        mlp.graph("int4")


def test_a_model_without_products_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "relu.onnx"
    onnx.save(running.small_model([helper.make_node("Relu", ["x"], ["y"])], {}, shape=["n", 4]), path)
    for precision in ("int8", "fp8", "int4"):
        with pytest.raises(EngineError, match=f"nothing in this model can be in {precision}"):
            Maker(tmp_path, workload_of(path)).graph(precision)


def test_keeping_all_that_could_be_lowered_is_refused_but_for_a_bisection(mlp: Maker) -> None:
    with pytest.raises(EngineError, match="all of it is kept in FP32"):
        mlp.having(keep_fp32=("*",)).graph("fp16", ON_GPU)
    made, facts = mlp.graph("int8", ON_GPU, kept_nodes="\n".join(mlp.ranked("int8")))
    assert (mlp.error(made), facts) == (0.0, frozenset())
