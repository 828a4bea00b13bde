from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, TensorFacts, Workload
from engines.data.inputs import make_inputs
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from tests.workloads import file_at

X = TensorFacts("x", "float32", ("batch", 3, 8))
IDS = TensorFacts("ids", "int64", ("batch", 16))
MASK = TensorFacts("mask", "int64", ("batch", 16))
GATE = TensorFacts("gate", "bool", ("batch", 16))


def _workload(*inputs: TensorFacts, seed: int = 0, limits: dict[str, int] | None = None) -> Workload:
    model = ModelFacts(file_at("m.onnx", "0"), inputs, (), 17, {}, 0, 0, limits or {})
    ranges, _ = resolve(model)
    batch, batched = batch_of(model, ranges)
    return Workload(model, single_plan(ranges, batch), batched, InputSource(seed=seed))


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def test_inputs_have_the_types_of_the_model_and_the_batch_asked_for() -> None:
    for tensors in make_inputs(_workload(X, IDS, GATE), 5):
        said = {name: (array.dtype.name, array.shape) for name, array in tensors.items()}
        assert said == {"x": ("float32", (5, 3, 8)), "ids": ("int64", (5, 16)), "gate": ("bool", (5, 16))}


def test_a_fixed_input_keeps_its_shape_in_every_batch() -> None:
    fixed = TensorFacts("anchors", "float32", (7, 4))
    assert make_inputs(_workload(X, fixed), 5)[0]["anchors"].shape == (7, 4)


def test_the_same_seed_makes_the_same_inputs_and_another_seed_others() -> None:
    first, second = (make_inputs(_workload(X, IDS, seed=3, limits={"ids": 9}), 2) for _ in range(2))
    assert all(_same(one[name], two[name]) for one, two in zip(first, second, strict=True) for name in one)
    other = make_inputs(_workload(X, IDS, seed=4, limits={"ids": 9}), 2)
    assert not any(_same(first[0][name], other[0][name]) for name in ("x", "ids"))


def test_neither_order_nor_presence_of_other_inputs_changes_an_input() -> None:
    alone, together = make_inputs(_workload(X), 2), make_inputs(_workload(GATE, X), 2)
    assert all(_same(one["x"], other["x"]) for one, other in zip(alone, together, strict=True))


def test_batches_differ_and_so_do_inputs() -> None:
    other = replace(X, name="other")
    batches = make_inputs(_workload(X, other), 1)
    assert len(batches) >= 2
    assert len({tensors["x"].tobytes() for tensors in batches}) == len(batches)
    assert not _same(batches[0]["x"], batches[0]["other"])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "float8_e4m3fn"])
def test_floats_are_standard_normal(dtype: str) -> None:
    batches = make_inputs(_workload(replace(X, dtype=dtype)), 64)
    assert {tensors["x"].dtype.name for tensors in batches} == {dtype}
    values = np.concatenate([tensors["x"].astype(np.float64).ravel() for tensors in batches])
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.05


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_indices_fill_their_table_and_stay_inside(rows: int) -> None:
    values = np.concatenate(
        [tensors["ids"] for tensors in make_inputs(_workload(IDS, limits={"ids": rows}), 500)]
    )
    assert (values.min(), values.max()) == (0, rows - 1)


def test_an_integer_that_indexes_nothing_is_a_mask_with_no_row_empty() -> None:
    for tensors in make_inputs(_workload(MASK), 50):
        assert set(np.unique(tensors["mask"])) == {0, 1}
        assert tensors["mask"].any(axis=-1).all()


def test_an_integer_scalar_is_not_zero() -> None:
    batches = make_inputs(_workload(X, TensorFacts("k", "int32", ())), 1)
    assert [(tensors["k"].shape, tensors["k"].dtype.name, int(tensors["k"])) for tensors in batches] == [
        ((), "int32", 1)
    ] * len(batches)


def test_no_row_of_truth_values_is_all_alike() -> None:
    values = np.concatenate([tensors["gate"] for tensors in make_inputs(_workload(GATE), 50)])
    assert values.any(axis=-1).all()
    assert not values.all(axis=-1).any()
    assert 0.4 < values[:, 1:-1].mean() < 0.6


def test_bytes_of_a_picture_take_all_their_values() -> None:
    picture = TensorFacts("picture", "uint8", ("batch", 32, 32, 3))
    values = np.concatenate([tensors["picture"] for tensors in make_inputs(_workload(picture), 2)])
    assert len(np.unique(values)) == 256


@pytest.mark.parametrize("dtype", ["string", "complex64"])
def test_a_type_that_cannot_be_made_up_is_refused(dtype: str) -> None:
    with pytest.raises(UserError, match=f"'x' of type {dtype}") as caught:
        make_inputs(_workload(replace(X, dtype=dtype)), 1)
    assert "--inputs" in caught.value.hint


def test_a_file_is_cut_into_batches(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    data = np.arange(5 * 24, dtype=np.float32).reshape(5, 3, 8)
    np.savez(path, x=data)
    workload = replace(_workload(X), inputs=InputSource(file=file_at(str(path), "0")))
    batches = [tensors["x"] for tensors in make_inputs(workload, 2)]
    assert [batch.shape for batch in batches] == [(2, 3, 8)] * 3
    np.testing.assert_array_equal(np.concatenate(batches), data[[0, 1, 2, 3, 4, 0]])
