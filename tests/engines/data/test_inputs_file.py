import hashlib
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, Shape, TensorFacts, Tensors
from engines.data.inputs_file import check_inputs_file, read_all, read_batches
from engines.shapes.resolve import batch_of, resolve, with_batch
from tests.engines.data.input_data import MODEL, SHAPES, Array, checked, fixed, good, refusal, saved
from tests.workloads import file_at


def _checked_with_extras(
    path: Path, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES
) -> InputSource:
    ranges, _ = resolve(model, shapes)
    return check_inputs_file(model, ranges, batch_of(model, ranges)[1], path, extras=True)


def _read(
    path: Path, batch: int, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES
) -> list[Tensors]:
    ranges, _ = resolve(model, shapes)
    return read_batches(path, model, with_batch(ranges, batch_of(model, ranges)[1], batch))


def test_a_good_file_is_named_with_its_digest(tmp_path: Path) -> None:
    path = saved(tmp_path, good())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checked(path) == InputSource(file=file_at(path, digest))


def test_samples_fill_consecutive_batches_and_the_last_goes_on_with_the_first(tmp_path: Path) -> None:
    data = good()
    batches = _read(saved(tmp_path, data), 3)
    assert [tensors["scale"].shape for tensors in batches] == [(3, 2)] * 3
    joined = np.concatenate([tensors["ids"] for tensors in batches])
    np.testing.assert_array_equal(joined, data["ids"][[0, 1, 2, 3, 4, 5, 6, 0, 1]])
    assert all(np.array_equal(tensors["bias"], data["bias"]) for tensors in batches)


def test_every_sample_is_used_and_every_batch_full_whatever_the_sizes(tmp_path: Path) -> None:
    for samples in range(1, 8):
        data = good(ids=np.arange(samples * 5).reshape(samples, 5) % 10, scale=np.ones((samples, 2), "f4"))
        path = saved(tmp_path, data)
        checked(path)
        for batch in range(1, 10):
            batches = _read(path, batch)
            assert len(batches) == -(-samples // batch)
            joined = np.concatenate([tensors["ids"] for tensors in batches])
            np.testing.assert_array_equal(joined, np.resize(data["ids"], joined.shape))


def test_an_input_without_batch_may_have_several_sets_which_take_turns(tmp_path: Path) -> None:
    path = saved(tmp_path, good(bias=np.arange(6, dtype=np.float32).reshape(2, 3)))
    checked(path)
    assert [tensors["bias"].tolist() for tensors in _read(path, 3)] == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize("shape", [(6, 4), (3, 2, 4)])
def test_a_model_of_fixed_batch_takes_several_batches(tmp_path: Path, shape: Shape) -> None:
    model = fixed(2, 4)
    data = np.arange(24, dtype=np.float32).reshape(shape)
    path = saved(tmp_path, {"x": data})
    checked(path, model, {})
    batches = [tensors["x"] for tensors in _read(path, 2, model, {})]
    np.testing.assert_array_equal(np.stack(batches), data.reshape(3, 2, 4))


def test_a_scalar_input_takes_a_scalar_or_one_for_each_batch(tmp_path: Path) -> None:
    model = fixed()
    for data in (np.array(2.0, np.float32), np.array([2.0, 3.0], np.float32)):
        path = saved(tmp_path, {"x": data})
        checked(path, model, {})
        batches = _read(path, 1, model, {})
        assert [(tensors["x"].shape, float(tensors["x"])) for tensors in batches] == [
            ((), value) for value in np.atleast_1d(data)
        ]


def test_batches_are_contiguous_even_out_of_a_transposed_array(tmp_path: Path) -> None:
    path = saved(tmp_path, good(scale=np.ones((2, 7), np.float32).T))
    assert all(array.flags.c_contiguous for tensors in _read(path, 2) for array in tensors.values())


def test_extension_types_survive_the_file(tmp_path: Path) -> None:
    model = ModelFacts(file_at("m.onnx", "0"), (TensorFacts("x", "bfloat16", ("n", 2)),), (), 17, {}, 0, 0)
    path = saved(tmp_path, {"x": np.array([[1.5, 2]], ml_dtypes.bfloat16)})
    checked(path, model, {})
    assert _read(path, 1, model, {})[0]["x"].astype(float).tolist() == [[1.5, 2]]
    nan = saved(tmp_path, {"x": np.array([[1.5, np.nan]], ml_dtypes.bfloat16)})
    assert "NaN" in refusal(nan, model, {}).message


def test_negative_indices_count_from_the_end_of_the_table(tmp_path: Path) -> None:
    ids = np.full((7, 5), -10)
    assert checked(saved(tmp_path, good(ids=ids)))
    assert "has the index -11 into a table of 10 rows" in refusal(saved(tmp_path, good(ids=ids - 1))).message


def test_a_file_that_went_away_is_said_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        _read(tmp_path / "data.npz", 1)


def test_extra_arrays_are_accepted_on_request(tmp_path: Path) -> None:
    path = saved(tmp_path, good(labels=np.arange(7)))
    assert _checked_with_extras(path).digest
    found = read_all(path, MODEL)
    assert found["labels"].tolist() == list(range(7))
    assert found["ids"].shape == (7, 5)
    assert "labels" not in _read(path, 3)[0]


@pytest.mark.parametrize("labels", [np.arange(6), np.array(7), np.zeros((0, 7))])
def test_there_is_one_of_them_for_each_sample(tmp_path: Path, labels: Array) -> None:
    with pytest.raises(UserError, match=r"the array 'labels' has .* and there are 7 samples"):
        _checked_with_extras(saved(tmp_path, good(labels=labels)))


def test_where_the_model_fixes_the_batch_there_may_be_one_for_each_sample_of_a_set(tmp_path: Path) -> None:
    data = {"x": np.ones((6, 4), np.float32)}
    for count in (3, 6):
        path = saved(tmp_path, {**data, "labels": np.arange(count)})
        assert _checked_with_extras(path, fixed(2, 4), {})
    with pytest.raises(UserError, match="has 4 values"):
        _checked_with_extras(saved(tmp_path, {**data, "labels": np.arange(4)}), fixed(2, 4), {})


def test_a_pickled_extra_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'labels' in .* is pickled"):
        _checked_with_extras(saved(tmp_path, good(labels=np.array([{}] * 7, dtype=object))))
