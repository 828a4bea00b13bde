from dataclasses import replace
from pathlib import Path

import pytest

from engines.core.values import Workload
from studies.search.transfer.find import are_of_one_family, similarity
from tests.workloads import example, file_at, tiny_conv, workload_of


@pytest.fixture(scope="module")
def workloads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workload]:
    folder = tmp_path_factory.mktemp("models")
    names = ("residual_cnn", "transformer", "mlp", "mixed_types")
    made = {name: example(name, folder) for name in names}
    return {**made, "tiny_conv": workload_of(tiny_conv(folder)), "other_cnn": _another_cnn(made)}


def _another_cnn(made: dict[str, Workload]) -> Workload:
    """A residual network of about three times the size of the example's, as another exporter writes it."""
    cnn = made["residual_cnn"]
    operators = {"Conv": 53, "Relu": 49, "Add": 16, "MaxPool": 1, "GlobalAveragePool": 1, "Gemm": 1}
    return replace(
        cnn,
        model=replace(cnn.model, file=file_at("m.onnx", "other"), operators=operators, parameters=3_000_000),
    )


def test_a_model_is_like_itself_and_more_so_than_any_other(workloads: dict[str, Workload]) -> None:
    for name, one in workloads.items():
        assert similarity(one, one) == pytest.approx(1.0)
        assert all(similarity(one, other) < 1 for key, other in workloads.items() if key != name)


def test_it_is_the_same_either_way_and_between_0_and_1(workloads: dict[str, Workload]) -> None:
    for one in workloads.values():
        for other in workloads.values():
            assert 0 <= similarity(one, other) <= 1
            assert similarity(one, other) == pytest.approx(similarity(other, one))


def test_a_cnn_is_more_like_a_cnn_than_like_an_mlp_or_a_transformer(workloads: dict[str, Workload]) -> None:
    cnn = workloads["residual_cnn"]
    alike = similarity(cnn, workloads["other_cnn"])
    assert alike > 0.7
    assert alike > 3 * similarity(cnn, workloads["mlp"])
    assert alike > 3 * similarity(cnn, workloads["transformer"])
    assert similarity(workloads["mlp"], workloads["mixed_types"]) > similarity(workloads["mlp"], cnn)


def test_a_larger_batch_is_less_alike_the_further_it_is(tmp_path: Path) -> None:
    at = {batch: example("residual_cnn", tmp_path, images=(batch, 3, 64, 64)) for batch in (1, 2, 8, 64)}
    found = [similarity(at[1], at[batch]) for batch in (1, 2, 8, 64)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1.0)
    # a factor of 8 costs as much wherever it begins
    assert found[3] == pytest.approx(found[2] ** 2, rel=0.01)


def test_what_takes_no_time_and_how_a_product_is_written_do_not_count(workloads: dict[str, Workload]) -> None:
    mlp = workloads["mlp"]
    operators = {"MatMul": 3, "LeakyRelu": 2, "Constant": 40, "Reshape": 9, "Identity": 5}
    written_otherwise = replace(mlp, model=replace(mlp.model, operators=operators))
    assert similarity(mlp, written_otherwise) == pytest.approx(1.0)


def test_a_model_without_weights_or_work_is_compared_all_the_same(workloads: dict[str, Workload]) -> None:
    mlp = workloads["mlp"]
    idle = replace(mlp, model=replace(mlp.model, operators={"Identity": 1}, parameters=0))
    assert similarity(idle, idle) == pytest.approx(1.0)
    assert similarity(mlp, idle) == 0


RESNET_50 = {"Conv": 53, "Relu": 49, "Add": 16, "MaxPool": 1, "GlobalAveragePool": 1, "Gemm": 1}
RESNET_101 = {"Conv": 104, "Relu": 100, "Add": 33, "MaxPool": 1, "GlobalAveragePool": 1, "Gemm": 1}
MOBILENET_V3 = {"Conv": 62, "Relu": 48, "Add": 10, "GlobalAveragePool": 9, "Mul": 8, "Gemm": 2}
EFFICIENTNET_B0 = {"Conv": 81, "Sigmoid": 65, "Mul": 65, "GlobalAveragePool": 17, "Add": 9, "Gemm": 1}


@pytest.mark.parametrize(
    ("operators", "others", "is_so"),
    [
        (RESNET_50, RESNET_50, True),
        (RESNET_50, RESNET_101, True),
        (RESNET_50, MOBILENET_V3, False),
        (MOBILENET_V3, EFFICIENTNET_B0, False),
    ],
)
def test_a_family_is_one_architecture_whatever_its_depth(
    workloads: dict[str, Workload], operators: dict[str, int], others: dict[str, int], *, is_so: bool
) -> None:
    cnn = workloads["residual_cnn"]
    one, other = (replace(cnn, model=replace(cnn.model, operators=some)) for some in (operators, others))
    assert are_of_one_family(one, other) == are_of_one_family(other, one) == is_so
