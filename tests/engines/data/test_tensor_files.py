"""Tensors in files, from one process to another and from a user."""

import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.values import Tensors
from engines.data import tensor_files
from engines.data.tensor_files import read_arrays


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    first: Tensors = {
        "/model/out:0": np.arange(3, dtype=np.int64),
        "file": np.array(1.5, np.float16),
        "b": np.array([1.5, -2], ml_dtypes.bfloat16),
        "flags": np.array([True, False]),
        "texts": np.array(["a", "bc"]),
    }
    second: Tensors = {name: values[..., :1] if values.ndim else values for name, values in first.items()}
    tensor_files.save(tmp_path / "t.npz", [first, second])
    found = tensor_files.load(tmp_path / "t.npz")
    assert [list(batch) for batch in found] == [list(first), list(second)]
    for batch, expected in zip(found, (first, second), strict=True):
        for name, values in expected.items():
            assert batch[name].dtype == values.dtype
            assert np.array_equal(batch[name], values)


def test_a_users_arrays_are_read_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", y=np.ones(2), z=np.zeros(3))
    assert {name: len(values) for name, values in read_arrays(tmp_path / "t.npz").items()} == {"y": 2, "z": 3}


def test_file_that_is_not_npz_is_refused(tmp_path: Path) -> None:
    contents = {"text": b"hello", "empty": b"", "pickle": pickle.dumps([1]), "zip": b"PK\x03\x04 nothing"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="is not an npz file of plain arrays"):
            read_arrays(tmp_path / name)
    with (tmp_path / "array.npy").open("wb") as file:
        np.save(file, np.ones(3))
    np.savez(tmp_path / "objects.npz", y=np.array([{}], dtype=object))
    for name in ("array.npy", "objects.npz"):
        with pytest.raises(UserError, match="is not an npz file of plain arrays"):
            read_arrays(tmp_path / name)


def test_a_file_without_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz")
    with pytest.raises(UserError, match="contains no arrays"):
        read_arrays(tmp_path / "none.npz")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_arrays(tmp_path / "t.npz")
    with pytest.raises(UserError, match="is a folder"):
        read_arrays(tmp_path)
