"""docs/commands.md and docs/json.md are made by docs/generate.py, and are what it makes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.command import Command
from tests.paths import DOCS
from tuner.cli import COMMANDS


def _check(program: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(program), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_page_is_up_to_date() -> None:
    assert _check(DOCS / "generate.py").returncode == 0, "run python docs/generate.py"


def test_a_page_that_is_not_is_found_and_made_anew(tmp_path: Path) -> None:
    shutil.copy(DOCS / "json_page.py", tmp_path)
    program = shutil.copy(DOCS / "generate.py", tmp_path)
    stale = _check(Path(program))
    assert (stale.returncode, stale.stderr) == (
        1,
        "commands.md is not up to date: run python docs/generate.py\n",
    )
    subprocess.run([sys.executable, program], check=True)
    assert _check(Path(program)).returncode == 0
    for page in ("commands.md", "json.md"):
        assert (tmp_path / page).read_text() == (DOCS / page).read_text()


def test_the_page_has_every_command_and_option(command: Command) -> None:
    page = (DOCS / "commands.md").read_text()
    for name in COMMANDS:
        assert f"## tuner {name}\n" in page
        for option in re.findall(r"^ +(?:-\w, )?(--[\w-]+)", command(name, "--help").out, re.MULTILINE):
            assert option in page
