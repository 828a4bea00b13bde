"""What there is to choose of a graph, for a target and a model."""

from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from engines.core.values import Workload
from engines.graphs import dimensions
from engines.graphs.dimensions import Target
from engines.graphs.passes import qdq, selection
from engines.graphs.passes.half_precision import lower
from tests.engines.graphs.recipes import ON_CPU, ON_GPU, Maker, by_name
from tests.workloads import example, workload_of


@pytest.fixture(scope="module")
def workloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workload]:
    """Of examples, only to be looked at."""
    folder = tmp_path_factory.mktemp("examples")
    return {name: example(name, folder) for name in ("mlp", "residual_cnn", "transformer")}


def test_a_gpu_has_all_of_it_and_the_defaults_are_the_first(workloads: dict[str, Workload]) -> None:
    found = by_name(dimensions.dimensions(ON_GPU, workloads["mlp"]))
    assert found["precision"].choices == (*ON_GPU.plain, *ON_GPU.lowered)
    assert found["precision"].default == "tf32"
    assert found["keep_fp32"].choices == (0, 1)
    assert found["keep_fp32"].applies_to == {"precision": ON_GPU.lowered}
    assert found["calibration"].applies_to == {"precision": ("int8", "fp8")}
    assert found["high_precision"].applies_to == {"precision": ("int8", "fp8", "int4")}
    assert all(dimension.kind == "graph" for dimension in found.values())
    assert all(dimension.default == dimension.choices[0] for dimension in found.values())


def test_cpu_excludes_choices_with_reasons(workloads: dict[str, Workload]) -> None:
    found = by_name(dimensions.dimensions(ON_CPU, workloads["mlp"]))
    assert found["precision"].choices == ("fp32", "int8", "int4")
    assert found["precision"].excluded == {"fp16": "no kernels"}
    assert "high_precision" not in found


def test_where_nothing_is_lowered_there_is_nothing_more_to_choose(workloads: dict[str, Workload]) -> None:
    found = dimensions.dimensions(Target(("fp32",), ()), workloads["mlp"])
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
def test_at_most_half_of_the_nodes_worth_lowering_can_be_kept(
    operators: dict[str, int], wanted: tuple[int, ...], workloads: dict[str, Workload]
) -> None:
    workload = workloads["mlp"]
    changed = replace(workload, model=replace(workload.model, operators=operators))
    assert dimensions.kept_choices(changed) == wanted


def test_models_with_few_products_are_in_no_precision_that_is_for_them(
    workloads: dict[str, Workload],
) -> None:
    target = replace(ON_GPU, refused={"int8": {"Conv": "the builder refuses them"}})
    network, other = workloads["residual_cnn"], workloads["transformer"]
    few = by_name(dimensions.dimensions(target, network))["precision"]
    assert not {"int8", "int4"} & set(few.choices)
    assert few.excluded["int8"] == "the builder refuses them"
    assert few.excluded["int4"] == "it is for the weights of products, and of those the model has 1"
    assert "int8" in by_name(dimensions.dimensions(ON_GPU, network))["precision"].choices
    many = by_name(dimensions.dimensions(target, other))["precision"]
    assert (many.choices, many.excluded) == ((*target.plain, *target.lowered), {})


def test_excluded_precision_keeps_its_own_reason(workloads: dict[str, Workload]) -> None:
    target = Target(("fp32",), ("fp16",), excluded={"int4": "too old"})
    found = by_name(dimensions.dimensions(target, workloads["residual_cnn"]))["precision"]
    assert found.excluded == {"int4": "too old"}


@pytest.mark.parametrize("how", ["quantized", "fp16"])
def test_a_model_that_arrived_lowered_is_only_taken_as_given(how: str, mlp: Maker, tmp_path: Path) -> None:
    model = onnx.load(mlp.workload.model.file.where)
    ranges = {site.tensor: 1.0 for site in selection.sites(model, "int8")}
    nothing: frozenset[str] = frozenset()
    arrived = (
        qdq.insert_qdq(model, "int8", ranges, nothing)
        if how == "quantized"
        else lower(model, "fp16", nothing)
    )
    onnx.save(arrived, tmp_path / "arrived.onnx")
    maker = Maker(tmp_path, workload_of(tmp_path / "arrived.onnx", features=(4, 64)))
    found = by_name(dimensions.dimensions(ON_GPU, maker.workload))
    assert list(found) == ["precision", "simplify"]
    assert (found["precision"].choices, found["precision"].default) == (("given",), "given")
    assert found["precision"].excluded["fp32"] == f"the model is {how} already and is kept as it is"
    assert set(found["precision"].excluded) == {*ON_GPU.plain, *ON_GPU.lowered}
    assert maker.key("given") is None


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
    assert dimensions.base_precision(name) == base
