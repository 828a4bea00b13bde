import errno
import os
import time
from pathlib import Path

import pytest

from engines.artifacts import store
from engines.core.errors import EngineError


def test_a_vendors_complaint_on_a_full_disk_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> dict[str, int]:
        raise EngineError("Protobuf serialization failed.")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EngineError, match="Protobuf"):
        store._make("name", tmp_path / "name", refuse, time.perf_counter)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store._make("name", tmp_path / "name", refuse, time.perf_counter)
    assert list(tmp_path.iterdir()) == []
