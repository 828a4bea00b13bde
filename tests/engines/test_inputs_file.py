import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from engines.errors import UserError
from engines.inputs_file import check_inputs_file, read_all, read_batches
from engines.shapes import batch_of, resolve, with_batch
from engines.values import InputSource, ModelFacts, Shape, TensorFacts, Tensors

Array = NDArray[np.generic]

MODEL = ModelFacts(
    "m.onnx",
    "0",
    (
        TensorFacts("ids", "int64", ("batch", "sequence")),
        TensorFacts("scale", "float32", ("batch", 2)),
        TensorFacts("bias", "float32", (3,)),
    ),
    (),
    17,
    {},
    0,
    0,
    {"ids": 10},
)
SHAPES: Mapping[str, Shape] = {"ids": (4, 5)}


def _good(**other: Array) -> Tensors:
    return {
        "ids": np.arange(35).reshape(7, 5) % 10,
        "scale": np.ones((7, 2), np.float32),
        "bias": np.zeros(3, np.float32),
        **other,
    }


def _check(path: Path, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES) -> InputSource:
    ranges, _ = resolve(model, shapes)
    return check_inputs_file(model, ranges, batch_of(model, ranges)[1], path)


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


def _saved(folder: Path, tensors: Mapping[str, Array]) -> Path:
    path = folder / "data.npz"
    np.savez(path, **tensors)  # type: ignore[arg-type]  # its own options are keywords too
    return path


def _refusal(path: Path, model: ModelFacts = MODEL, shapes: Mapping[str, Shape] = SHAPES) -> UserError:
    with pytest.raises(UserError) as caught:
        _check(path, model, shapes)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def _fixed(*shape: int) -> ModelFacts:
    return ModelFacts("m.onnx", "0", (TensorFacts("x", "float32", shape),), (), 17, {}, 0, 0)


def test_a_good_file_is_named_with_its_digest(tmp_path: Path) -> None:
    path = _saved(tmp_path, _good())
    assert _check(path) == InputSource(path=str(path), digest=hashlib.sha256(path.read_bytes()).hexdigest())


def test_samples_fill_consecutive_batches_and_the_last_goes_on_with_the_first(tmp_path: Path) -> None:
    data = _good()
    batches = _read(_saved(tmp_path, data), 3)
    assert [tensors["scale"].shape for tensors in batches] == [(3, 2)] * 3
    joined = np.concatenate([tensors["ids"] for tensors in batches])
    np.testing.assert_array_equal(joined, data["ids"][[0, 1, 2, 3, 4, 5, 6, 0, 1]])
    assert all(np.array_equal(tensors["bias"], data["bias"]) for tensors in batches)


def test_every_sample_is_used_and_every_batch_full_whatever_the_sizes(tmp_path: Path) -> None:
    for samples in range(1, 8):
        data = _good(ids=np.arange(samples * 5).reshape(samples, 5) % 10, scale=np.ones((samples, 2), "f4"))
        path = _saved(tmp_path, data)
        _check(path)
        for batch in range(1, 10):
            batches = _read(path, batch)
            assert len(batches) == -(-samples // batch)
            joined = np.concatenate([tensors["ids"] for tensors in batches])
            np.testing.assert_array_equal(joined, np.resize(data["ids"], joined.shape))


def test_an_input_without_batch_may_have_several_sets_which_take_turns(tmp_path: Path) -> None:
    path = _saved(tmp_path, _good(bias=np.arange(6, dtype=np.float32).reshape(2, 3)))
    _check(path)
    assert [tensors["bias"].tolist() for tensors in _read(path, 3)] == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]


@pytest.mark.parametrize("shape", [(6, 4), (3, 2, 4)])
def test_a_model_of_fixed_batch_takes_several_batches(tmp_path: Path, shape: Shape) -> None:
    model = _fixed(2, 4)
    data = np.arange(24, dtype=np.float32).reshape(shape)
    path = _saved(tmp_path, {"x": data})
    _check(path, model, {})
    batches = [tensors["x"] for tensors in _read(path, 2, model, {})]
    np.testing.assert_array_equal(np.stack(batches), data.reshape(3, 2, 4))


def test_a_scalar_input_takes_a_scalar_or_one_for_each_batch(tmp_path: Path) -> None:
    model = _fixed()
    for data in (np.array(2.0, np.float32), np.array([2.0, 3.0], np.float32)):
        path = _saved(tmp_path, {"x": data})
        _check(path, model, {})
        batches = _read(path, 1, model, {})
        assert [(tensors["x"].shape, float(tensors["x"])) for tensors in batches] == [
            ((), value) for value in np.atleast_1d(data)
        ]


def test_batches_are_contiguous_even_out_of_a_transposed_array(tmp_path: Path) -> None:
    path = _saved(tmp_path, _good(scale=np.ones((2, 7), np.float32).T))
    assert all(array.flags.c_contiguous for tensors in _read(path, 2) for array in tensors.values())


def test_extension_types_survive_the_file(tmp_path: Path) -> None:
    model = ModelFacts("m.onnx", "0", (TensorFacts("x", "bfloat16", ("n", 2)),), (), 17, {}, 0, 0)
    path = _saved(tmp_path, {"x": np.array([[1.5, 2]], ml_dtypes.bfloat16)})
    _check(path, model, {})
    assert _read(path, 1, model, {})[0]["x"].astype(float).tolist() == [[1.5, 2]]
    nan = _saved(tmp_path, {"x": np.array([[1.5, np.nan]], ml_dtypes.bfloat16)})
    assert "NaN" in _refusal(nan, model, {}).message


def test_negative_indices_count_from_the_end_of_the_table(tmp_path: Path) -> None:
    ids = np.full((7, 5), -10)
    assert _check(_saved(tmp_path, _good(ids=ids)))
    assert (
        "has the index -11 into a table of 10 rows" in _refusal(_saved(tmp_path, _good(ids=ids - 1))).message
    )


def test_a_file_that_went_away_is_said_when_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        _read(tmp_path / "data.npz", 1)


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"idz": np.zeros(1)}, "the model has no input 'idz'", "Did you mean 'ids'?"),
        ({"ids": np.zeros((7, 5), np.int32)}, "is int32, and the model takes int64", "ids.astype(np.int64)"),
        ({"bias": np.zeros(3)}, "is float64, and the model takes float32", "bias.astype(np.float32)"),
        ({"ids": np.zeros((0, 5), np.int64)}, "the input 'ids' is empty", "at least one sample"),
        ({"ids": np.zeros((7, 9), np.int64)}, "'ids' is 7x9, not Nx5", "--shapes ids:1x9"),
        ({"ids": np.zeros(5, np.int64)}, "'ids' is 5, not Nx5", "samples along the first axis"),
        ({"scale": np.ones((7, 3), np.float32)}, "'scale' is 7x3, not Nx2", "samples along the first axis"),
        ({"bias": np.ones(4, np.float32)}, "'bias' is 4, not 3", "the shape that the model takes"),
        ({"ids": np.full((7, 5), 10)}, "has the index 10 into a table of 10 rows", "from 0 to 9"),
        ({"bias": np.array([0, np.nan, 1], np.float32)}, "NaN or infinity in 1 of its 3 values", "samples"),
        ({"bias": np.array([0, np.inf, 1], np.float32)}, "NaN or infinity in 1 of its 3 values", "samples"),
        (
            {"scale": np.ones((6, 2), np.float32)},
            "different numbers of samples: 'ids' 7, 'scale' 6",
            "as many",
        ),
        ({"bias": np.array([{}], dtype=object)}, "'bias' in", "plain array"),
    ],
)
def test_data_that_the_model_cannot_take_is_refused(
    tmp_path: Path, change: Tensors, message: str, hint: str
) -> None:
    error = _refusal(_saved(tmp_path, _good(**change)))
    assert message in error.message
    assert hint in error.hint


def test_arrays_that_are_no_inputs_are_let_in_where_they_are_asked_for(tmp_path: Path) -> None:
    path = _saved(tmp_path, _good(labels=np.arange(7)))
    assert _checked_with_extras(path).digest
    found = read_all(path, MODEL)
    assert found["labels"].tolist() == list(range(7))
    assert found["ids"].shape == (7, 5)
    assert "labels" not in _read(path, 3)[0]


@pytest.mark.parametrize("labels", [np.arange(6), np.array(7), np.zeros((0, 7))])
def test_there_is_one_of_them_for_each_sample(tmp_path: Path, labels: Array) -> None:
    with pytest.raises(UserError, match=r"the array 'labels' has .* and there are 7 samples"):
        _checked_with_extras(_saved(tmp_path, _good(labels=labels)))


def test_where_the_model_fixes_the_batch_there_may_be_one_for_each_sample_of_a_set(tmp_path: Path) -> None:
    data = {"x": np.ones((6, 4), np.float32)}
    for count in (3, 6):
        path = _saved(tmp_path, {**data, "labels": np.arange(count)})
        assert _checked_with_extras(path, _fixed(2, 4), {})
    with pytest.raises(UserError, match="has 4 values"):
        _checked_with_extras(_saved(tmp_path, {**data, "labels": np.arange(4)}), _fixed(2, 4), {})


def test_a_pickled_extra_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'labels' in .* is pickled"):
        _checked_with_extras(_saved(tmp_path, _good(labels=np.array([{}] * 7, dtype=object))))


def test_an_input_without_data_is_named(tmp_path: Path) -> None:
    data = _good()
    del data["scale"]
    error = _refusal(_saved(tmp_path, data))
    assert "has no array for the input 'scale'" in error.message
    assert "It has ids, bias" in error.hint


def test_inputs_without_batch_must_have_equally_many_sets(tmp_path: Path) -> None:
    facts = tuple(TensorFacts(name, "float32", (2,)) for name in "ab")
    model = ModelFacts("m.onnx", "0", facts, (), 17, {}, 0, 0)
    data = {"a": np.ones((3, 2), np.float32), "b": np.ones((4, 2), np.float32)}
    assert "different numbers of samples: 'a' 3, 'b' 4" in _refusal(_saved(tmp_path, data), model, {}).message


def test_a_pickled_array_is_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "loaded"

    class Touches:
        def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
            return open, (str(marker), "w")

    path = _saved(tmp_path, _good(bias=np.array([Touches()], dtype=object)))
    assert "is pickled" in _refusal(path).message
    assert not marker.exists()


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1,2,3\n",
        b"\x80\x04K\x01.",
        _npy(),
        _zip("archive/data.pkl", b"weights"),
        _zip("ids.npy", b"no array")[:-30],
    ],
    ids=["empty", "text", "pickle", "one array", "weights", "cut short"],
)
def test_what_is_no_npz_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(data)
    error = _refusal(path)
    assert error.message == f"{str(path)!r} is not an npz file, or is damaged"
    assert "np.savez" in error.hint


@pytest.mark.parametrize("content", [b"no array", _npy()[:90], _npy()[:-5]])
def test_a_damaged_array_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(_zip("x.npy", content))
    assert "is not an npz file, or is damaged" in _refusal(path, _fixed(3), {}).message


def test_flipped_bytes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.arange(3, dtype=np.float32))
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert "is not an npz file, or is damaged" in _refusal(path, _fixed(3), {}).message


def test_a_file_without_arrays_is_refused(tmp_path: Path) -> None:
    assert "holds no arrays" in _refusal(_saved(tmp_path, {})).message


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in _refusal(tmp_path / "none.npz").message
    assert "is a folder" in _refusal(tmp_path).message
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    assert "cannot read" in _refusal(tmp_path / "loop.npz").message
