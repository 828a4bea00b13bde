import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import InputSource, Workload
from engines.data.calibration import parse_calibration
from engines.data.inputs_file import check_inputs_file
from engines.data.user_functions import parse_metric
from engines.models.located import keep, kept_file, located, located_model
from engines.models.read import read_model
from tests.workloads import tiny_conv, workload_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a study is begun in."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace(home / ".tuner").create()


@pytest.fixture
def workload(home: Path) -> Workload:
    """A model with external weights, and of each kind of data a file, a folder and a function."""
    plain = tiny_conv(home)
    model = home / "net.onnx"
    onnx.save(onnx.load(plain), model, save_as_external_data=True, location="w.bin", size_threshold=0)
    plain.unlink()
    found = workload_of(model, x=(2, 3, 12, 12))
    images = np.ones((4, 3, 12, 12), np.float32)
    np.savez(home / "data.npz", x=images)
    (home / "samples").mkdir()
    np.save(home / "samples" / "0.npy", images)
    (home / "located_task.py").write_text("def score(inputs, outputs):\n    return 1.0\n")
    ranges, batched = found.plan.ranges, found.batched_inputs
    return replace(
        found,
        inputs=check_inputs_file(found.model, ranges, batched, home / "data.npz"),
        calibration=parse_calibration("samples", found.model, ranges, batched, home),
        metrics=(parse_metric("located_task:score", home),),
    )


def _places(workload: Workload) -> list[Path]:
    assert workload.inputs.file is not None
    assert workload.calibration is not None
    assert workload.calibration.file is not None
    files = (workload.model.file, workload.inputs.file, workload.calibration.file, workload.metrics[0].file)
    return [file.path for file in files]


def test_what_is_in_its_place_is_left_there(workload: Workload, workspace: Workspace, home: Path) -> None:
    wanted = [home / "net.onnx", home / "data.npz", home / "samples", home]
    keep(workload, workspace)
    assert _places(located(workload, workspace)) == wanted
    assert _places(located(workload, workspace, check=True)) == wanted


@pytest.mark.parametrize("check", [False, True])
def test_a_study_that_moved_finds_what_it_kept_when_the_originals_are_gone(
    workload: Workload, workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    keep(workload, workspace)
    elsewhere = home.parent / "elsewhere"
    elsewhere.mkdir()
    shutil.move(workspace.root, elsewhere / "w")
    monkeypatch.chdir(elsewhere)
    shutil.rmtree(home)
    found = located(workload, Workspace(elsewhere / "w"), check=check)
    assert all(place.is_relative_to(elsewhere / "w" / "files") for place in _places(found))
    assert found == replace(workload, metrics=found.metrics)
    assert read_model(found.model.file.path).digest == workload.model.digest
    assert found.metrics[0].function == "located_task.py:score"
    assert parse_metric("located_task.py:score", found.metrics[0].file.path).file == workload.metrics[0].file


def test_originals_that_were_changed_are_not_taken_for_what_they_were(
    workload: Workload, workspace: Workspace, home: Path
) -> None:
    keep(workload, workspace)
    shutil.copy(tiny_conv(home, "other.onnx"), home / "net.onnx")
    (home / "w.bin").write_bytes(b"other")
    np.savez(home / "data.npz", x=np.zeros((4, 3, 12, 12), np.float32))
    np.save(home / "samples" / "0.npy", np.zeros((4, 3, 12, 12), np.float32))
    (home / "located_task.py").write_text("def score(inputs, outputs):\n    return 2.0\n")
    found = located(workload, workspace, check=True)
    assert all(place.is_relative_to(workspace.files) for place in _places(found))
    assert located_model(workload.model, workspace) == found.model.file.path


@pytest.mark.parametrize("where", ["beside the workspace", "in the current folder"])
def test_what_is_not_kept_is_found_beside_the_workspace_or_in_the_current_folder(
    workload: Workload, workspace: Workspace, home: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    elsewhere = home.parent / "elsewhere"
    shutil.copytree(home, elsewhere)
    shutil.rmtree(home)
    if where == "beside the workspace":
        home.parent.joinpath("third").mkdir()
        monkeypatch.chdir(home.parent / "third")
        workspace = Workspace(elsewhere / ".tuner")
    else:
        monkeypatch.chdir(elsewhere)
    wanted = [elsewhere / name for name in ("net.onnx", "data.npz", "samples", "")]
    assert _places(located(workload, workspace)) == wanted


def test_what_is_nowhere_is_told_with_its_name_its_digest_and_where_it_was(
    workload: Workload, workspace: Workspace, home: Path
) -> None:
    (home / "net.onnx").unlink()
    with pytest.raises(UserError) as caught:
        located(workload, workspace)
    digest = workload.model.digest[:12]
    assert caught.value.message == (
        f"the model 'net.onnx' of sha256 {digest} is not where it was ({home / 'net.onnx'}), nor in or "
        "beside the workspace"
    )
    assert caught.value.hint == "Put it back, or run the command in the folder that holds it."
    assert located_model(workload.model, workspace) == home / "net.onnx"


def test_what_is_another_file_now_is_told_to_be_one(
    workload: Workload, workspace: Workspace, home: Path
) -> None:
    np.savez(home / "data.npz", x=np.zeros((4, 3, 12, 12), np.float32))
    with pytest.raises(UserError, match=r"data\.npz is not the inputs that the study is about any more"):
        located(workload, workspace, check=True)


def test_a_function_that_is_nowhere_is_told(workload: Workload, workspace: Workspace, home: Path) -> None:
    (home / "located_task.py").unlink()
    with pytest.raises(
        UserError, match=r"the metric 'score' 'located_task\.py' of sha256 [0-9a-f]{12} is not where"
    ):
        located(workload, workspace)


def test_a_kept_file_that_is_spoiled_is_not_taken(
    workload: Workload, workspace: Workspace, home: Path
) -> None:
    keep(workload, workspace)
    (home / "data.npz").unlink()
    kept = workspace.files / str(workload.inputs.digest) / "data.npz"
    kept.write_bytes(b"\0" * kept.stat().st_size)
    with pytest.raises(UserError, match=r"the inputs 'data\.npz'"):
        located(workload, workspace)


def test_random_data_needs_no_file(workload: Workload, workspace: Workspace) -> None:
    plain = replace(workload, inputs=InputSource(seed=3), calibration=None, metrics=())
    keep(plain, workspace)
    assert located(plain, workspace).inputs == InputSource(seed=3)
    assert [one.name for one in workspace.files.iterdir()] == [workload.model.digest]


def test_what_cannot_be_kept_is_left_out(workload: Workload, workspace: Workspace, home: Path) -> None:
    (home / "w.bin").unlink()
    (home / "located_task.py").unlink()
    keep(workload, workspace)
    assert workload.model.digest not in {one.name for one in workspace.files.iterdir()}
    assert not list(workspace.files.glob(".unfinished-*"))


def test_a_kept_file_is_found_by_its_name_where_there_is_one_of_it(
    workload: Workload, workspace: Workspace, home: Path
) -> None:
    keep(workload, workspace)
    digest = hashlib.sha256((home / "data.npz").read_bytes()).hexdigest()
    assert kept_file("data.npz", workspace) == workspace.files / digest / "data.npz"
    assert kept_file("net.onnx", workspace) == workspace.files / workload.model.digest / "net.onnx"
    assert kept_file("d*.npz", workspace) is None
    np.savez(home / "data.npz", x=np.zeros((4, 3, 12, 12), np.float32))
    other = check_inputs_file(
        workload.model, workload.plan.ranges, workload.batched_inputs, home / "data.npz"
    )
    keep(replace(workload, inputs=other), workspace)
    assert kept_file("data.npz", workspace) is None
