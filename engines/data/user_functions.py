"""Find the user's functions MODULE:FUNCTION or FILE.py:FUNCTION without running them, and load them.

A module is searched below a folder first and among the installed packages after that.
"""

import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from engines.core.errors import UserError
from engines.core.values import FileRef, TaskMetric
from engines.data.named_files import require_file

_WRITE = "Write MODULE:FUNCTION or FILE.py:FUNCTION."
Better = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class UserFunction:
    """A function to be loaded: its module and name, the folder that they are relative to, and its file.

    `digest` is the sha256 of the file, without the files that it imports or reads.
    """

    text: str
    folder: str
    file: str
    digest: str

    @property
    def ref(self) -> FileRef:
        """The module's file, found from the folder."""
        return FileRef(self.digest, Path(self.file).name, self.folder)

    @property
    def name(self) -> str:
        return self.text.rpartition(":")[2]


def find_function(text: str, folder: Path) -> UserFunction:
    """Find the function without running anything; raises UserError if there is no such module."""
    module, colon, name = text.strip().rpartition(":")
    if not colon or not module or not name.isidentifier():
        raise UserError(f"{text!r} does not name a function", _WRITE)
    folder = folder.resolve()
    file = _file_named(module, folder) if module.endswith(".py") else _module_file(module, folder)
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {str(file)!r}: {error.strerror}", "Check its permissions.") from error
    return UserFunction(f"{module}:{name}", str(folder), str(file), digest)


@cache
def load_function(text: str, folder: Path) -> Callable[..., Any]:
    """Load the function; its module runs once per process, with its folder on Python's path.

    Raises UserError if it cannot be found, imported or called.
    """
    found = find_function(text, folder)
    module = _imported(found)
    missing = object()
    function = getattr(module, found.name, missing)
    if function is missing:
        near = difflib.get_close_matches(found.name, vars(module), 1)
        raise UserError(
            f"{found.file} has no function {found.name!r}",
            f"Did you mean {near[0]!r}?" if near else "Check the name after the colon.",
        )
    if not callable(function):
        raise UserError(f"{found.name!r} in {found.file} is not a function", "Name a function.")
    return cast("Callable[..., Any]", function)


def parse_metric(text: str, folder: Path) -> TaskMetric:
    """Parse a metric [NAME=]MODULE:FUNCTION[:minimize|:maximize]; its default name is the function's.

    Larger is better by default.
    """
    name, equals, rest = text.strip().partition("=")
    if not equals:
        name, rest = "", text.strip()
    head, _, last = rest.rpartition(":")
    directed = last in ("minimize", "maximize") and ":" in head
    better: Better = "minimize" if directed and last == "minimize" else "maximize"
    function = find_function(head if directed else rest, folder)
    name = name.strip() or function.name
    if not re.fullmatch(r"[^\W\d]\w*", name):
        raise UserError(
            f"{name!r} is not a valid name for a metric", "Use letters, digits and _, as in accuracy=...."
        )
    return TaskMetric(name, function.text, better, function.ref)


def raised(error: BaseException, file: str = "") -> str:
    """Return an exception in one line, with the line of the file that it came through if there is one."""
    said = " ".join(str(error).split())
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text} (line {lines[-1]} of {Path(file).name})" if lines else text


def _file_named(text: str, folder: Path) -> Path:
    file = folder / Path(text).expanduser()
    require_file(file, f"Check the path. {_WRITE}", _WRITE)
    return file.resolve()


def _module_file(module: str, folder: Path) -> Path:
    """Return the file of the module, without running the packages that it is in."""
    path: list[str] = [str(folder), *sys.path]
    spec = None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path) if part.isidentifier() else None
        if spec is None:
            raise UserError(
                f"there is no module {module!r} in {str(folder)!r}, nor is one installed",
                "Run the command in the folder that holds it, or write FILE.py:FUNCTION.",
            )
        path = list(spec.submodule_search_locations or ())
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise UserError(f"{module!r} is a folder, or is built in", "Name a module in a file of its own.")
    return Path(spec.origin).resolve()


def _imported(found: UserFunction) -> ModuleType:
    name = found.text.rpartition(":")[0]
    try:
        if name.endswith(".py"):
            return _run_file(Path(found.file))
        with _on_path(Path(found.folder)):
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"cannot import {name!r}: {raised(error, found.file)}", "Fix the module and try again."
        ) from error
    if Path(getattr(module, "__file__", None) or "").resolve() != Path(found.file):
        raise UserError(
            f"another module named {name!r} is loaded already", f"Rename {found.file}, or write its path."
        )
    return module


def _run_file(file: Path) -> ModuleType:
    # a unique name, so that it hides no other module
    name = f"tuner_user_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _on_path(file.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """Put the folder first on the path while a module is imported, and last for its later imports."""
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
