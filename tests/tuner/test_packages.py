"""Packages that are missing, and packages of the same name that are somebody else's."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.backends.registry import BACKENDS
from tests.command import Command, start
from tests.workloads import tiny_conv
from tuner.packages import PACKAGES

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from tuner.cli import main
main({arguments!r})
"""
VENDORS = [entry.package for entry in BACKENDS.values() if entry.package is not None]
Without = Callable[..., str]


@pytest.fixture
def without(tmp_path: Path) -> Without:
    """Runs the command where packages are not installed, as far as Python can see."""

    def run(*hidden: str, backend: str) -> str:
        arguments = ["search", str(tiny_conv(tmp_path)), "--backend", backend]
        ran = subprocess.run(
            [sys.executable, "-c", HIDE.format(hidden=hidden, arguments=arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 2, ran.stderr
        assert ran.stderr.count("\n") == 1
        return ran.stderr

    return run


@pytest.mark.parametrize("name", [name for name, entry in BACKENDS.items() if entry.package is not None])
def test_a_backend_whose_package_is_missing_says_what_installs_it(without: Without, name: str) -> None:
    said = without(*VENDORS, backend=name)
    entry = BACKENDS[name]
    assert f"the backend {name!r} needs the package {entry.package!r}, which is not installed" in said
    assert said.endswith(f"Install it: {entry.install}.\n")


def test_no_backend_at_all_says_what_installs_one(without: Without) -> None:
    said = without(*VENDORS, backend="auto")
    assert "error: no backend is installed. Install one: pip install " in said


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_of_our_name_that_is_somebody_elses_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    run = start("--version", cwd=tmp_path)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (2, "")
    assert err.startswith(f"error: the package {name!r} that Python finds is {str(tmp_path / name)!r}"[:-1])
    assert err.count("\n") == 1


def test_a_folder_of_our_name_without_a_package_in_it_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    run = start("--version", cwd=tmp_path)
    out, _ = run.communicate(timeout=30)
    assert (run.returncode, out.startswith("tuner ")) == (0, True)


def test_modules_where_the_command_runs_are_not_taken_for_those_of_the_worker(
    command: Command, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    assert command("search", model, "--backend", "fake", "--trials", 1).code == 0
