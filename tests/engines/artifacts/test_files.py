import fcntl
import os
from pathlib import Path

import pytest

from engines.artifacts import files
from engines.artifacts.files import keep_together


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"0123456789")
    (tmp_path / "kept").mkdir()
    return path


@pytest.fixture
def _no_shared_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(fcntl, "ioctl", refuse)


def _kept(model: Path) -> Path:
    keep_together({model.name: model}, model.parent / "kept")
    return model.parent / "kept" / model.name


@pytest.mark.usefixtures("_no_shared_blocks")
def test_writing_to_an_original_does_not_change_the_copy(model: Path) -> None:
    kept = _kept(model)
    model.write_bytes(b"another")
    assert kept.read_bytes() == b"0123456789"


@pytest.mark.usefixtures("_no_shared_blocks")
def test_a_large_file_takes_no_more_room(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_COPIED_BYTES", 9)
    kept = _kept(model)
    assert kept.stat().st_ino == model.stat().st_ino
    model.unlink()
    assert kept.read_bytes() == b"0123456789"


@pytest.mark.usefixtures("_no_shared_blocks")
def test_a_large_file_of_another_file_system_is_copied(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(files, "MOST_COPIED_BYTES", 9)
    monkeypatch.setattr(os, "link", refuse)
    assert _kept(model).read_bytes() == b"0123456789"


@pytest.mark.usefixtures("_no_shared_blocks")
def test_a_large_link_is_kept_as_what_it_leads_to(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_COPIED_BYTES", 9)
    link = model.parent / "link.onnx"
    link.symlink_to(model)
    kept = _kept(link)
    assert not kept.is_symlink()
    assert kept.read_bytes() == b"0123456789"
