from collections.abc import Callable
from pathlib import Path

import pytest

from engines.core.errors import UserError
from engines.core.values import Workload
from engines.data.calibration import parse_calibration
from engines.data.inputs_file import opened
from engines.data.named_files import require_file
from engines.data.tensor_files import read_arrays
from engines.data.user_functions import find_function
from engines.models.read import read_model

Pipes = Callable[[str], Path]


def test_a_file_may_be_read_through_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    require_file(tmp_path / "file")
    require_file(tmp_path / "link")


def test_path_that_is_not_a_file_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file: '.*none'\. Look for it\."):
        require_file(tmp_path / "none", "Look for it.")
    with pytest.raises(UserError, match=r"is a folder\. Look inside\."):
        require_file(tmp_path, of_a_folder="Look inside.")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError, match=r"cannot read '.*loop': Too many levels of symbolic links"):
        require_file(tmp_path / "loop")


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_device_file_is_refused(path: str) -> None:
    with pytest.raises(UserError, match=f"'{path}' is not a regular file. Save its data"):
        require_file(Path(path))


def _inputs(path: Path) -> None:
    with opened(path):
        pass


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("m.onnx", read_model),
        ("data.npz", _inputs),
        ("outputs.npz", read_arrays),
        ("task.py", lambda path: find_function(f"{path}:accuracy", path.parent)),
    ],
)
def test_pipe_is_refused_without_waiting(pipe: Pipes, name: str, read: Callable[[Path], object]) -> None:
    with pytest.raises(UserError, match=f"{name}' is not a regular file"):
        read(pipe(name))


def test_pipe_in_a_folder_is_refused_without_waiting(pipe: Pipes, workload: Workload, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pipe("data/a.npy")
    with pytest.raises(UserError, match=r"a\.npy' is not a regular file"):
        parse_calibration("data", workload.model, workload.plan.ranges, workload.batched_inputs, tmp_path)


def test_name_with_a_zero_byte_is_a_user_error() -> None:
    with pytest.raises(UserError, match="a file name cannot contain a zero byte"):
        require_file(Path("a\0b"))
