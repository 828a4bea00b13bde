import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.artifacts.workspace import FOLDERS, Workspace, folder_bytes, new_folder, write_file
from engines.core.errors import UserError


def _dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_creating_a_workspace_makes_its_folders_and_keeps_what_is_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "a" / "b").create()
    (workspace.engines / "kept").mkdir()
    workspace.create()
    assert {path.name for path in workspace.root.iterdir()} == set(FOLDERS)
    assert (workspace.engines / "kept").is_dir()


def test_what_a_dead_process_left_unfinished_is_cleared_and_what_a_live_one_makes_is_kept(
    tmp_path: Path,
) -> None:
    workspace = Workspace(tmp_path).create()
    dead = workspace.engines / f".unfinished-{_dead_process()}-x"
    alive = workspace.engines / f".unfinished-{os.getpid()}-y"
    dead.mkdir()
    alive.mkdir()
    workspace.create()
    assert not dead.exists()
    assert alive.exists()


def test_what_a_process_left_that_is_dead_but_not_reaped_is_cleared(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # its end is the process's
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    left = tmp_path / "engines" / f".unfinished-{process.pid}-x"
    left.mkdir(parents=True)
    Workspace(tmp_path).create()
    process.communicate()
    assert not left.exists()


def test_only_empty_logs_of_dead_processes_are_removed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).create()
    dead, alive = _dead_process(), os.getpid()
    for name in (f"worker-{dead}", f"worker-{dead}-trial-3-rebuild-1", f"worker-{alive}", "worker-mine"):
        (workspace.logs / f"{name}.log").touch()
    (workspace.logs / f"worker-{dead}-trial-4.log").write_text("Segmentation fault")
    workspace.create()
    left = {path.name for path in workspace.logs.iterdir()}
    assert left == {f"worker-{dead}-trial-4.log", f"worker-{alive}.log", "worker-mine.log"}


def test_a_workspace_that_cannot_be_made_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the workspace") as caught:
        Workspace(tmp_path / "file").create()
    assert "--workspace" in caught.value.hint


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "done"
    with new_folder(target) as folder:
        (folder / "part").write_bytes(b"12")
        assert not target.exists()
    assert (target / "part").read_bytes() == b"12"
    assert target.stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "done") as folder:
            (folder / "part").write_bytes(b"12")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_second_process_keeps_the_artifact_of_the_first(tmp_path: Path) -> None:
    target = tmp_path / "done"
    with new_folder(target) as second:
        (second / "part").write_text("second")
        with new_folder(target) as first:
            (first / "part").write_text("first")
    assert (target / "part").read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_is_replaced_whole_and_can_be_read_by_others(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_file(target, b"old")
    write_file(target, b"new")
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o077 == 0o066 & ~_umask()
    assert list(tmp_path.iterdir()) == [target]


def test_the_size_of_a_folder_counts_every_file_below(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"123")
    (tmp_path / "y").write_bytes(b"45")
    assert folder_bytes(tmp_path) == 5


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
