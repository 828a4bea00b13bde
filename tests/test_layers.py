"""Which package may import which, and what is loaded when."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from tests.imports import PACKAGES, arrows, folder_of, imported, is_empty, modules
from tests.paths import DOCS, ROOT

# every folder that holds modules, the lowest first: it may import those above it in this list
FLOORS = (
    "engines.core",
    "engines.statistics",
    "engines.shapes",
    "engines.machine",
    "engines.backends",
    "engines.artifacts",
    "engines.data",
    "engines.models",
    "engines.accuracy",
    "engines.graphs.passes",
    "engines.graphs.analysis",
    "engines.graphs",
    "engines.landscapes",
    "engines.backends.fake",
    "engines.backends.replay",
    "engines.backends.onnxruntime",
    "engines.backends.tensorrt.bindings",
    "engines.backends.tensorrt.run",
    "engines.backends.tensorrt.inspect",
    "engines.backends.tensorrt.build",
    "engines.backends.tensorrt",
    "engines.trials",
    "engines.worker",
    "engines.executors",
    "studies.core",
    "studies.belief",
    "studies.finals",
    "studies.search",
    "studies.analysis",
    "studies.storage",
    "studies.search.transfer",
    "studies.recording",
    "studies.setup",
    "studies.run",
    "dashboards.html",
    "dashboards.words",
    "dashboards.charts",
    "dashboards.pages",
    "tuner.terminal",
    "tuner.options",
    "tuner.documents",
    "tuner.bundles",
    "tuner.workflows",
    "tuner.progress",
    "tuner.output",
    "tuner",
    "tuner.commands",
)
# what a dashboard may not know of: it is made from records alone
NOT_FOR_DASHBOARDS = (
    "optuna",
    "sqlalchemy",
    "engines.backends",
    "studies.storage",
    "studies.run",
)
# slow to load, or not installed everywhere
HEAVY = (
    "cuda",
    "dash",
    "numpy",
    "nvtx",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "plotly",
    "pynvml",
    "ray",
    "rich",
    "scipy",
    "sqlalchemy",
    "tensorrt",
    "tensorrt_rtx",
)
# what only some machines have, or only some commands need
AT_USE = (
    "cuda",
    "dash",
    "nvtx",
    "onnxruntime",
    "pandas",
    "pynvml",
    "ray",
    "scipy",
    "tensorrt",
    "tensorrt_rtx",
)
BACKENDS = "engines.backends."


def _imports_of(package: str) -> Iterator[tuple[str, str]]:
    """Each module of the package with each name that it imports."""
    for module, path in modules().items():
        if _is_of(module, package):
            for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
                yield module, name


def _imported_at_load(tree: ast.Module) -> Iterator[str]:
    """What the module imports outside functions and outside `if TYPE_CHECKING`."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _imported_at_load(ast.Module([*node.body, *node.orelse], []))
        elif isinstance(node, ast.Try):
            yield from _imported_at_load(ast.Module([*node.body, *node.orelse, *node.finalbody], []))


def _is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_every_folder_with_modules_has_a_floor() -> None:
    folders = {folder_of(name) for name, path in modules().items() if path.name != "__init__.py"}
    assert sorted(FLOORS) == sorted(folders)


def test_the_page_on_the_architecture_names_every_folder_in_its_order() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/]+)` \|", page, re.MULTILINE)
    assert [name.replace("/", ".") for name in named] == list(FLOORS)


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_between_folders_go_down_only(floor: str) -> None:
    below = FLOORS[: FLOORS.index(floor)]
    upward = [
        f"{name} imports {other}"
        for name, others in arrows().items()
        for other in sorted(others)
        if folder_of(name) == floor and folder_of(other) not in (floor, *below) and not is_empty(other)
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert len(list(TopologicalSorter(arrows()).static_order())) == len(modules())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_neither_tests_nor_examples(package: str) -> None:
    outside = [
        f"{module} imports {name}"
        for module, name in _imports_of(package)
        if any(_is_of(name, other) for other in ("tests", "examples", "benchmarks"))
    ]
    assert outside == []


def test_dashboards_know_nothing_of_optuna_databases_and_backends() -> None:
    known = [
        f"{module} imports {name}"
        for module, name in _imports_of("dashboards")
        if any(_is_of(name, other) for other in NOT_FOR_DASHBOARDS)
    ]
    assert known == []


def test_engines_know_nothing_of_optuna() -> None:
    known = [
        f"{module} imports {name}"
        for module, name in _imports_of("engines")
        if any(_is_of(name, other) for other in ("optuna", "sqlalchemy", "plotly", "click", "rich"))
    ]
    assert known == []


@pytest.mark.parametrize("package", PACKAGES)
def test_vendor_packages_are_imported_where_they_are_used(package: str) -> None:
    """A module of a backend may import its own; those are loaded when the backend is opened."""
    early = [
        f"{module} imports {name}"
        for module, path in modules().items()
        if _is_of(module, package) and not module.startswith(BACKENDS)
        for name in _imported_at_load(ast.parse(path.read_text(encoding="utf-8")))
        if any(_is_of(name, vendor) for vendor in AT_USE)
    ]
    assert early == []


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["search", "--help"], ["export", "-h"], ["completion", "bash"], ["no-such"]],
    ids=" ".join,
)
def test_the_command_loads_nothing_heavy_before_it_is_needed(arguments: list[str]) -> None:
    loaded = _loaded_by(f"from tuner.cli import main; main({arguments!r})")
    assert loaded & set(HEAVY) == set()


def test_importing_tuner_is_quick() -> None:
    assert _loaded_by("import tuner; tuner.__version__") & set(HEAVY) == set()


def test_the_table_of_backends_is_read_without_their_packages() -> None:
    loaded = _loaded_by("import engines.backends.registry as b; b.choose_backend('auto', lambda: True)")
    assert loaded & {"onnxruntime", "tensorrt", "tensorrt_rtx", "cuda"} == set()


def _loaded_by(program: str) -> set[str]:
    script = f"""
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
{program}
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    modules: list[str] = json.loads(ran.stderr.splitlines()[-1])
    return {module.partition(".")[0] for module in modules}
