import io
import os
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.core.errors import UserError
from engines.models.read import LARGEST_PROTOBUF, read_model


@pytest.fixture(scope="module")
def model_bytes() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="the tests"
    )
    return bytes(model.SerializeToString())


def _refusal(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read_model(path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"weights")
    return buffer.getvalue()


def test_a_path_with_no_file_is_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "m.onnx").message == f"no such file: {str(tmp_path / 'm.onnx')!r}"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert _refusal(tmp_path).message == f"{str(tmp_path)!r} is a folder"


def test_file_that_cannot_be_opened_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "loop.onnx").symlink_to("loop.onnx")
    assert "Too many levels of symbolic links" in _refusal(tmp_path / "loop.onnx").message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08")
    path.chmod(0)
    assert "Permission denied" in _refusal(path).message


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        (b"", "is empty", "again"),
        (b"Not a model, but some notes on it.\n", "but a text", "torch.onnx.export"),
        (("a" + "ä€" * 30).encode()[:64], "but a text", "torch.onnx.export"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "but a Git LFS pointer",
            "git lfs pull",
        ),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "but a PNG picture", "torch.onnx.export"),
        (_zip(), "but a zip archive, as PyTorch saves", "torch.onnx.export"),
        (b"\x80\x02}q\x00X", "but a pickle", "torch.onnx.export"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00" + b'{"w":{}}', "but a safetensors file", "torch.onnx.export"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(40), "but a TensorFlow Lite model", "tf2onnx"),
        (b"\x9d" * 20, "is not an ONNX model, or is damaged", "torch.onnx.export"),
        (b"\x08\x08\x3a\x04\xff\xff\xff\xff", "is not an ONNX model, or is damaged", "torch.onnx.export"),
        # another protobuf: TensorFlow's saved_model.pb begins like this
        (b"\x08\x01\x12\x03abc", "has no graph", "torch.onnx.export"),
        (
            onnx.TensorProto(name="w", dims=[2]).SerializeToString(),
            "is not an ONNX model",
            "torch.onnx.export",
        ),
    ],
)
def test_other_file_formats_are_named_in_the_refusal(
    tmp_path: Path, data: bytes, message: str, hint: str
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    error = _refusal(path)
    assert message in error.message
    assert hint in error.hint


def test_truncated_model_is_refused_and_mostly_reported_as_cut_off(
    tmp_path: Path, model_bytes: bytes
) -> None:
    path = tmp_path / "m.onnx"
    cut_off = []
    for length in range(1, len(model_bytes)):
        path.write_bytes(model_bytes[:length])
        cut_off.append("cut off" in _refusal(path).message)
    # between two fields of its head a file looks whole and only lacks the graph
    assert sum(cut_off) >= len(cut_off) - 2
    path.write_bytes(model_bytes)
    assert read_model(path).parameters == 64


def test_the_bytes_that_are_missing_are_counted(tmp_path: Path, model_bytes: bytes) -> None:
    path = tmp_path / "m.onnx"
    graph_end = model_bytes.rindex(b"B\x04\n\x00\x10\x11")  # the opset, which follows the graph
    path.write_bytes(model_bytes[: graph_end - 100])
    assert "100 or more bytes short" in _refusal(path).message


def test_a_file_over_two_gigabytes_is_refused_unread(tmp_path: Path, model_bytes: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model_bytes)
    os.truncate(path, LARGEST_PROTOBUF + 1)
    error = _refusal(path)
    assert "over 2 GB" in error.message
    assert "external" in error.hint
