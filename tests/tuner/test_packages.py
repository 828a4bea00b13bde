"""Packages that are missing, and packages of the same name that are somebody else's."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tuner
from engines.backends.registry import BACKENDS
from engines.core.version import VERSION
from tests.command import Command, start
from tests.paths import ROOT
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


def _ran(program: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def _foreign(folder: Path, name: str) -> Path:
    """Somebody else's package of that name."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    return folder / name / "__init__.py"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_of_our_name_that_is_somebody_elses_is_named(tmp_path: Path, name: str) -> None:
    foreign = _foreign(tmp_path, name)
    run = start("--version", cwd=tmp_path)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (2, "")
    assert err.startswith(
        f"error: the package {name!r} that Python finds is {str(foreign)!r}, not trt-tuner's. "
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", PACKAGES)
def test_the_installed_command_says_the_same(tmp_path: Path, name: str) -> None:
    foreign = _foreign(tmp_path, name)
    script = tmp_path / "bin" / "tuner"
    script.parent.mkdir()
    # as pip writes it
    script.write_text("import sys\nfrom tuner.cli import main\nsys.exit(main())\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    ran = subprocess.run(
        [sys.executable, script, "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: the package {name!r} that Python finds is {str(foreign)!r}, ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("name", PACKAGES)
@pytest.mark.parametrize("program", ["import tuner", "from tuner import search", "import tuner.api"])
def test_importing_beside_such_a_package_says_so_at_once(tmp_path: Path, name: str, program: str) -> None:
    foreign = _foreign(tmp_path, name)
    ran = _ran(program, tmp_path)
    last = ran.stderr.splitlines()[-1]
    assert ran.returncode == 1
    assert last.startswith(f"ImportError: the package {name!r} that Python finds is {str(foreign)!r}, not ")
    assert last.endswith("run tuner from another folder, or install trt-tuner again.")


def test_a_program_may_do_without_where_the_package_is_somebody_elses(tmp_path: Path) -> None:
    _foreign(tmp_path, "engines")
    program = "try:\n    import tuner\nexcept ImportError as error:\n    print(error.name)"
    assert _ran(program, tmp_path).stdout == "tuner\n"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_folder_of_our_name_without_a_package_in_it_does_no_harm(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "other.py").touch()
    run = start("--version", cwd=tmp_path)
    out, _ = run.communicate(timeout=30)
    assert (run.returncode, out.startswith("tuner ")) == (0, True)
    ran = _ran("import tuner; print(tuner.search.__name__, tuner.Dimension.__name__)", tmp_path)
    assert (ran.stdout, ran.returncode) == ("search Dimension\n", 0), ran.stderr


def test_modules_where_the_command_runs_are_not_taken_for_those_of_the_worker(
    command: Command, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    assert command("search", model, "--backend", "fake", "--trials", 1).code == 0


def test_the_version_is_the_same_in_both_places() -> None:
    assert tuner.__version__ == VERSION
