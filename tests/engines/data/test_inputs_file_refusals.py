"""Files that are no data for the model: of other arrays, damaged, or no files at all."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engines.core.values import ModelFacts, TensorFacts, Tensors
from tests.engines.data.input_data import fixed, good, refusal, saved
from tests.workloads import file_at


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
            "same number",
        ),
        ({"bias": np.array([{}], dtype=object)}, "'bias' in", "plain array"),
    ],
)
def test_data_that_the_model_cannot_take_is_refused(
    tmp_path: Path, change: Tensors, message: str, hint: str
) -> None:
    error = refusal(saved(tmp_path, good(**change)))
    assert message in error.message
    assert hint in error.hint


def test_an_input_without_data_is_named(tmp_path: Path) -> None:
    data = good()
    del data["scale"]
    error = refusal(saved(tmp_path, data))
    assert "has no array for the input 'scale'" in error.message
    assert "It has ids, bias" in error.hint


def test_inputs_without_batch_must_have_equally_many_sets(tmp_path: Path) -> None:
    facts = tuple(TensorFacts(name, "float32", (2,)) for name in "ab")
    model = ModelFacts(file_at("m.onnx", "0"), facts, (), 17, {}, 0, 0)
    data = {"a": np.ones((3, 2), np.float32), "b": np.ones((4, 2), np.float32)}
    assert "different numbers of samples: 'a' 3, 'b' 4" in refusal(saved(tmp_path, data), model, {}).message


def test_a_pickled_array_is_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "loaded"

    class Touches:
        def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
            return open, (str(marker), "w")

    path = saved(tmp_path, good(bias=np.array([Touches()], dtype=object)))
    assert "is pickled" in refusal(path).message
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
def test_file_that_is_not_npz_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(data)
    error = refusal(path)
    assert error.message == f"{str(path)!r} is not an npz file, or is damaged"
    assert "np.savez" in error.hint


@pytest.mark.parametrize("content", [b"no array", _npy()[:90], _npy()[:-5]])
def test_a_damaged_array_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(_zip("x.npy", content))
    assert "is not an npz file, or is damaged" in refusal(path, fixed(3), {}).message


def test_flipped_bytes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.arange(3, dtype=np.float32))
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert "is not an npz file, or is damaged" in refusal(path, fixed(3), {}).message


def test_a_file_without_arrays_is_refused(tmp_path: Path) -> None:
    assert "contains no arrays" in refusal(saved(tmp_path, {})).message


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.npz").message
    assert "is a folder" in refusal(tmp_path).message
    (tmp_path / "loop.npz").symlink_to("loop.npz")
    assert "cannot read" in refusal(tmp_path / "loop.npz").message
