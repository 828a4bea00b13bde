"""Which package may import which, and what is loaded when."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

LAYERS = ("engines", "studies", "dashboards", "tuner")
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
    "sqlalchemy",
    "tensorrt",
    "tensorrt_rtx",
)
# what only some machines have, or only some commands need
AT_USE = ("cuda", "dash", "nvtx", "onnxruntime", "pandas", "pynvml", "ray", "tensorrt", "tensorrt_rtx")
BACKENDS = "engines.backends."


def _modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imported_at_load(tree: ast.Module) -> Iterator[str]:
    """What the module imports outside functions and outside `if TYPE_CHECKING`."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(ast.Module([node], []))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _imported_at_load(ast.Module([*node.body, *node.orelse], []))
        elif isinstance(node, ast.Try):
            yield from _imported_at_load(ast.Module([*node.body, *node.orelse, *node.finalbody], []))


def _is_of(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_itself_and_those_below(package: str) -> None:
    above = LAYERS[LAYERS.index(package) + 1 :]
    upward = [
        f"{_name(path)} imports {name}"
        for path in _modules(package)
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if any(_is_of(name, other) for other in above)
    ]
    assert upward == []


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_neither_tests_nor_examples(package: str) -> None:
    outside = [
        f"{_name(path)} imports {name}"
        for path in _modules(package)
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if any(_is_of(name, other) for other in ("tests", "examples", "benchmarks"))
    ]
    assert outside == []


def test_dashboards_know_nothing_of_optuna_databases_and_backends() -> None:
    known = [
        f"{_name(path)} imports {name}"
        for path in _modules("dashboards")
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if any(_is_of(name, other) for other in NOT_FOR_DASHBOARDS)
    ]
    assert known == []


def test_engines_know_nothing_of_optuna() -> None:
    known = [
        f"{_name(path)} imports {name}"
        for path in _modules("engines")
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if any(_is_of(name, other) for other in ("optuna", "sqlalchemy", "plotly", "click", "rich"))
    ]
    assert known == []


@pytest.mark.parametrize("package", LAYERS)
def test_vendor_packages_are_imported_where_they_are_used(package: str) -> None:
    """A module of a backend may import its own; those are loaded when the backend is opened."""
    early = [
        f"{_name(path)} imports {name}"
        for path in _modules(package)
        if not _name(path).startswith(BACKENDS)
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


def test_the_command_itself_loads_no_vendors_library() -> None:
    """It lives in the worker."""
    assert "onnxruntime" not in _loaded_by("import tuner.api, tuner.output.showing, tuner.output.dry_run")


def test_the_table_of_backends_is_read_without_their_packages() -> None:
    loaded = _loaded_by("import engines.backends.registry as b; b.choose_backend('auto')")
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
