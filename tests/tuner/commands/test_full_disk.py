"""Disks that are full or read-only: one line, and nothing that was finished is lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Command, environment
from tests.paths import ROOT

# what a test's script may use: the command in one process, whose workers are threads, and mounts
PRELUDE = """
import gc
import os
import subprocess
from pathlib import Path

from tests.command import without_finals
from tests.worker_threads import workers_in_threads
from tuner.cli import main

def mount(*options):
    subprocess.run(["mount", *options], check=True)

def tuner(line):
    # each trial collects garbage
    gc.freeze()
    try:
        with workers_in_threads():
            main(without_finals(line.split()))
    except SystemExit as ended:
        print("code", ended.code, flush=True)

os.mkdir("disk")
"""


def _in_a_mount(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the program in a mount namespace of its own, where a small disk can be mounted."""
    return subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", PRELUDE + script],
        cwd=folder,
        env=environment({"PYTHONPATH": str(ROOT)}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture
def can_mount(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path / "probe")]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root and unshare")


@pytest.mark.usefixtures("can_mount")
@pytest.mark.parametrize(
    ("kilobytes", "storage", "said"),
    [
        pytest.param(250, "disk/w/studies.db", "cannot be used: database or disk is full", id="the database"),
        pytest.param(100, "studies.db", "no space left in the workspace", id="the workspace"),
    ],
)
def test_a_full_disk_loses_no_finished_trial(
    model: Path, tmp_path: Path, kilobytes: int, storage: str, said: str
) -> None:
    options = f"--backend fake --trials 40 --min-gain 0 --self-test 0 --storage {storage}"
    script = f"""
mount("-t", "tmpfs", "-o", "size={kilobytes}k", "tmpfs", "disk")
tuner("search {model} {options} --workspace disk/w")
mount("-o", "remount,size=100m", "disk")
tuner("search {model} {options} --workspace disk/w")
"""
    ran = _in_a_mount(script, tmp_path)
    full, gone_on = (line for line in ran.stdout.splitlines() if line.startswith("code"))
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error:")]
    assert "Traceback" not in ran.stderr
    assert full == "code 2"
    assert len(errors) == 1
    assert said in errors[0]
    assert gone_on == "code 0"
    numbers = [line.partition(":")[0] for line in ran.stderr.splitlines() if line.startswith("trial ")]
    assert numbers == [f"trial {number}" for number in range(40)], "a trial was lost, or made twice"


@pytest.mark.usefixtures("can_mount")
def test_a_disk_too_full_for_the_engine_at_the_end_keeps_the_earlier_export(
    model: Path, tmp_path: Path
) -> None:
    script = f"""
mount("-t", "tmpfs", "-o", "size=20k", "tmpfs", "disk")
tuner("search {model} --backend fake --trials 2 -q")
tuner("export disk/out")
before = Path("disk/out/evidence.json").read_bytes()
try:
    Path("disk/filler").write_bytes(bytes(100_000))
except OSError:
    pass
tuner("export disk/out")
print(before == Path("disk/out/evidence.json").read_bytes(), os.listdir("disk/out"))
"""
    ran = _in_a_mount(script, tmp_path)
    codes = [line for line in ran.stdout.splitlines() if line.startswith("code")]
    assert codes == ["code 0", "code 0", "code 2"]
    assert ran.stdout.splitlines()[-1].startswith("True [")
    assert ".unfinished" not in ran.stdout
    assert "cannot write to the folder 'disk/out': No space left on device" in ran.stderr


@pytest.mark.usefixtures("can_mount")
def test_a_read_only_workspace(model: Path, tmp_path: Path) -> None:
    script = f"""
mount("-t", "tmpfs", "tmpfs", "disk")
tuner("search {model} --backend fake --trials 2 -q --workspace disk/w")
mount("-o", "remount,ro", "disk")
tuner("search {model} --backend fake --trials 4 --workspace disk/w")
tuner("search {model} --backend fake --trials 4 --workspace disk/new")
tuner("search {model} --backend fake --trials 4 --storage disk/studies.db")
tuner("search {model} --backend fake --trials 4 --output disk/out")
tuner("dashboard --workspace disk/w")
"""
    ran = _in_a_mount(script, tmp_path)
    errors = ran.stderr.splitlines()
    codes = [line for line in ran.stdout.splitlines() if line.startswith("code")]
    assert codes == ["code 0"] + ["code 2"] * 5
    assert [error.startswith("error: ") for error in errors] == [True] * 5
    assert "cannot write to the workspace disk/w: Read-only file system" in errors[0]
    assert "cannot write to the workspace disk/new: Read-only file system" in errors[1]
    assert "cannot write to the folder 'disk/out/engine': Read-only file system" in errors[3]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_we_may_not_write_to(command: Command, model: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = command("search", model, "--backend", "fake", "--workspace", "locked").complaint
    assert said.startswith("cannot write to the workspace locked: Permission denied")


def test_a_limit_on_the_size_of_files_is_a_full_disk(model: Path, tmp_path: Path) -> None:
    script = f'ulimit -f 40; "{sys.executable}" -m tuner search {model} --backend fake --trials 40'
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment({}), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("error: ")
