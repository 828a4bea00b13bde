"""Who imports whom, as the source says it: `python -m tests.imports` counts modules and arrows.

Every import counts: at the top, inside functions and below `if TYPE_CHECKING`.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.paths import ROOT

PACKAGES = ("engines", "studies", "dashboards", "tuner")


@cache
def modules(root: Path = ROOT) -> Mapping[str, Path]:
    """The four packages' modules by name; a package itself is its `__init__.py`."""
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


def imported(tree: ast.AST) -> Iterator[str]:
    """What is imported anywhere in the tree; a name out of a module stands behind the module's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def arrows(root: Path = ROOT) -> Mapping[str, frozenset[str]]:
    """The modules that each module imports."""
    known = modules(root)
    found = {}
    for name, path in known.items():
        wanted = imported(ast.parse(path.read_text(encoding="utf-8")))
        # `from module import name` is the module, unless the name is one itself
        targets = {each if each in known else each.rpartition(".")[0] for each in wanted}
        found[name] = frozenset(targets & known.keys() - {name})
    return found


def folder_of(name: str, root: Path = ROOT) -> str:
    """The sub-package that a module lies in; a package lies in itself."""
    return name if modules(root)[name].name == "__init__.py" else name.rpartition(".")[0]


def is_empty(name: str, root: Path = ROOT) -> bool:
    """Whether the module says nothing, as the `__init__.py` of most folders."""
    return not modules(root)[name].read_text(encoding="utf-8").strip()


def rooms(package: str, root: Path = ROOT) -> set[tuple[str, str]]:
    """The arrows between what lies in the package's own folder: modules, and sub-packages as one each."""

    def room(name: str) -> str:
        return ".".join(name.split(".")[:2])

    return {
        (room(name), room(other))
        for name, others in arrows(root).items()
        for other in others
        if name.startswith(f"{package}.") and other.startswith(f"{package}.") and room(name) != room(other)
    }


def main(root: Path) -> None:
    for package in PACKAGES:
        own = [name for name in modules(root) if name.partition(".")[0] == package]
        filled = [name for name in own if not is_empty(name, root)]
        inside = sum(other.partition(".")[0] == package for name in own for other in arrows(root)[name])
        print(  # noqa: T201 - a command when it is run by itself
            f"{package}: {len(filled)} modules, {inside} arrows between them, "
            f"{len(rooms(package, root))} between what lies in the folder itself"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
