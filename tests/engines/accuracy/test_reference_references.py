import errno
import io
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from engines.accuracy import reference
from engines.artifacts.workspace import Workspace
from engines.core.values import Tensors, Workload
from engines.data.inputs import make_inputs
from engines.trials.session import Session
from tests.workloads import QUICK, tiny_conv, workload_of

VERSIONS = {"onnxruntime": "1"}


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))


def outputs() -> list[Tensors]:
    random = np.random.default_rng(0)
    return [
        {"y": random.normal(size=(2, 3)).astype(np.float32), "a/b:c": np.arange(4), "count": np.array([True])}
        for _ in range(2)
    ]


def test_outputs_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "reference-x.npz"
    reference.save(file, outputs())
    found = reference.load(file)
    assert found is not None
    assert len(found) == 2
    for kept, made in zip(found, outputs(), strict=True):
        assert kept.keys() == made.keys()
        for name, values in made.items():
            assert kept[name].dtype == values.dtype
            np.testing.assert_array_equal(kept[name], values)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short", b"no archive"])
def test_missing_or_damaged_file_is_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "reference-x.npz"
    if content is not None:
        file.write_bytes(content)
    assert reference.load(file) is None


def test_a_type_that_the_format_does_not_know_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "reference-x.npz"
    reference.save(file, [{"y": np.zeros(3, dtype=ml_dtypes.bfloat16)}])
    assert not file.exists()


def test_reference_file_name_changes_with_the_outputs(tmp_path: Path, workload: Workload) -> None:
    names = {
        reference.reference_file(tmp_path, workload, batch, versions)
        for batch in (2, 4)
        for versions in (VERSIONS, {"onnxruntime": "2"})
    }
    assert len(names) == 4
    assert reference.reference_file(tmp_path, workload, 2, VERSIONS) in names


def test_the_model_is_run_for_reference_once_and_not_by_the_next_worker(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engines.backends.onnxruntime.backend import OnnxRuntime
    from engines.core.values import Settings

    workspace = Workspace(tmp_path / "w").create()
    first = Session(OnnxRuntime(Settings(), workspace.caches), workload, workspace, QUICK).reference(2)
    monkeypatch.setattr(reference, "run", lambda *_: pytest.fail("the model was run again"))
    second = Session(OnnxRuntime(Settings(), workspace.caches), workload, workspace, QUICK).reference(2)
    for kept, made in zip(second.outputs, first.outputs, strict=True):
        np.testing.assert_array_equal(kept["y"], made["y"])
    assert len(first.inputs) == len(make_inputs(workload, 2))


def _archive(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content.getvalue()


def _array(values: object) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(values))
    return content.getvalue()


def _compressed_in_an_unknown_way(content: bytes) -> bytes:
    """The method is at byte 8 of the member's header and at byte 10 of the directory's."""
    spoiled = bytearray(content)
    spoiled[8] = spoiled[content.index(b"PK\x01\x02") + 10] = 99
    return bytes(spoiled)


def _encrypted(content: bytes) -> bytes:
    spoiled = bytearray(content)
    spoiled[6] |= 1
    spoiled[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(spoiled)


@pytest.mark.parametrize(
    "content",
    [
        _archive(count=_array(1), y=_array([1.0])),
        _archive(count=_array(1), **{"x:y": _array([1.0])}),
        _archive(count=_array(1), **{"7:y": _array([1.0])}),
        _archive(count=_array([1, 1]), **{"0:y": _array([1.0])}),
        _archive(count=_array(10**6), **{"0:y": _array([1.0])}),
        _archive(count=_array("one"), **{"0:y": _array([1.0])}),
        _archive(**{"0:y": _array([1.0])}),
        _archive(count=b"no array", **{"0:y": _array([1.0])}),
        _compressed_in_an_unknown_way(_archive(count=_array(1))),
        _encrypted(_archive(count=_array(1))),
        _array([1.0]),
    ],
)
def test_an_archive_of_something_else_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "reference-x.npz"
    file.write_bytes(content)
    assert reference.load(file) is None


def test_outputs_without_room_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(file: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reference, "write_file", write)
    reference.save(tmp_path / "reference-x.npz", outputs())
