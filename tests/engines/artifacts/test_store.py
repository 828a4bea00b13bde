import errno
import os
from pathlib import Path

import pytest

from engines.artifacts.store import LocalStore
from engines.core.errors import EngineError
from engines.core.values import FileRef, Value


def test_a_vendors_complaint_on_a_full_disk_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> dict[str, int]:
        raise EngineError("Protobuf serialization failed.")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = LocalStore(tmp_path)
    with pytest.raises(EngineError, match="Protobuf"):
        store.make("name", refuse)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.make("name", refuse)
    assert list(tmp_path.iterdir()) == []


def test_what_was_made_is_found_and_not_made_again(tmp_path: Path) -> None:
    store, calls = LocalStore(tmp_path), []

    def made(folder: Path) -> dict[str, Value]:
        calls.append(folder)
        (folder / "plan").write_bytes(b"12345")
        return {"layers": 3}

    assert store.find("name") is None
    first, second = store.make("name", made), store.make("name", made)
    assert (first.reused, second.reused, len(calls)) == (False, True, 1)
    assert first.size_bytes == second.size_bytes == 5
    assert second.facts["layers"] == 3
    assert (store.fetch("name") / "plan").read_bytes() == b"12345"


def test_a_folder_that_was_cut_short_is_removed_and_made_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    def made(folder: Path) -> dict[str, Value]:
        (folder / "plan").write_bytes(b"12345")
        return {}

    store.make("name", made)
    (store.fetch("name") / "plan").write_bytes(b"123")
    assert store.find("name") is None
    assert not store.fetch("name").exists()
    assert not store.make("name", made).reused


def test_a_file_is_kept_under_its_name_whatever_becomes_of_the_original(tmp_path: Path) -> None:
    store, file = LocalStore(tmp_path), tmp_path / "model.onnx"
    file.write_bytes(b"model")
    ref = store.add_file(file, "digest")
    assert ref == FileRef("digest", "model.onnx")
    assert ref.path == file
    file.write_bytes(b"other")
    file.unlink()
    assert (store.fetch("digest") / "model.onnx").read_bytes() == b"model"
    assert store.find("digest") is not None


def test_parts_of_a_file_lie_to_each_other_as_they_did(tmp_path: Path) -> None:
    store, weights = LocalStore(tmp_path), tmp_path / "below" / "w.bin"
    weights.parent.mkdir()
    for file in (weights, tmp_path / "model.onnx"):
        file.write_bytes(file.name.encode())
    store.add_file(
        tmp_path / "model.onnx", "d", {"model.onnx": tmp_path / "model.onnx", "below/w.bin": weights}
    )
    assert (store.fetch("d") / "below" / "w.bin").read_bytes() == b"w.bin"


def test_a_file_that_is_gone_leaves_nothing_behind(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with pytest.raises(FileNotFoundError):
        store.add_file(tmp_path / "gone.onnx", "digest")
    assert list(tmp_path.iterdir()) == []
