import hashlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.core.errors import UserError
from engines.core.values import FileRef, TaskMetric
from engines.data.user_functions import find_function, load_function, parse_metric


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    """Leaves no module and no folder of a test behind."""
    modules, path = set(sys.modules), list(sys.path)
    load_function.cache_clear()
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def _write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def _refusal(text: str, folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load_function(text, folder)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_a_function_is_found_without_being_run(tmp_path: Path) -> None:
    file = _write(tmp_path, "task.py", "raise RuntimeError('ran')")
    found = find_function("task:accuracy", tmp_path)
    assert (found.name, found.file) == ("accuracy", str(file.resolve()))
    assert found.digest == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize("text", ["task:accuracy", "task.py:accuracy", "pack.task:accuracy", "pack:accuracy"])
def test_modules_packages_and_files_are_loaded(tmp_path: Path, text: str) -> None:
    for name in ("task.py", "pack/task.py", "pack/__init__.py"):
        _write(tmp_path, name, "def accuracy(): return __name__")
    assert isinstance(load_function(text, tmp_path)(), str)


@pytest.mark.parametrize("text", ["task:total", "task.py:total"])
def test_a_module_may_import_its_neighbours_also_later(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "near_by.py", "def one(): return 1")
    _write(tmp_path, "later_on.py", "def two(): return 2")
    _write(
        tmp_path,
        "task.py",
        "import near_by\ndef total():\n    import later_on\n    return near_by.one() + later_on.two()",
    )
    assert load_function(text, tmp_path)() == 3


def test_an_installed_module_is_found_too(tmp_path: Path) -> None:
    assert load_function("statistics:fmean", tmp_path) is statistics.fmean


def test_a_module_is_run_once(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path",
        "with Path(__file__).with_name('ran').open('a') as file: file.write('x')",
        "def a(): pass",
        "def b(): pass",
    )
    _write(tmp_path, "task.py", "\n".join(program))
    for name in ("a", "b", "a"):
        load_function(f"task:{name}", tmp_path)
    assert (tmp_path / "ran").read_text() == "x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task", "'task' does not name a function"),
        (":f", "':f' does not name a function"),
        ("task:", "'task:' does not name a function"),
        ("task:not a name", "does not name a function"),
        ("tsak:accuracy", "there is no module 'tsak'"),
        ("task.deeper:f", "there is no module 'task.deeper'"),
        ("../task:f", "there is no module '../task'"),
        ("other.py:accuracy", "no such file"),
        ("sys:exit", "there is no module 'sys'"),
        ("folder:f", "'folder' is a folder"),
        ("task:accuracys", "has no function 'accuracys'. Did you mean 'accuracy'?"),
        ("task:LIMIT", "'LIMIT' in"),
        ("broken:f", "cannot import 'broken': SyntaxError"),
        ("raising:f", "cannot import 'raising': ValueError: no data (line 2 of raising.py)"),
        ("raising.py:f", "cannot import 'raising.py': ValueError: no data (line 2 of raising.py)"),
        ("leaving:f", "cannot import 'leaving': SystemExit: 3"),
        ("needy:f", "No module named 'no_such_package'"),
    ],
)
def test_load_errors_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    _write(tmp_path, "task.py", "LIMIT = 3\ndef accuracy(): pass")
    _write(tmp_path, "broken.py", "def f(:")
    _write(tmp_path, "raising.py", "def f(): pass\nraise ValueError('no\\ndata')")
    _write(tmp_path, "leaving.py", "import sys\nsys.exit(3)")
    _write(tmp_path, "needy.py", "import no_such_package")
    (tmp_path / "folder").mkdir()
    assert message in str(_refusal(text, tmp_path))


def test_a_name_that_another_module_has_already_is_refused_and_its_path_is_taken(tmp_path: Path) -> None:
    _write(tmp_path, "statistics.py", "def accuracy(): return 1.0")
    assert "another module named 'statistics'" in _refusal("statistics:accuracy", tmp_path).message
    assert load_function("statistics.py:accuracy", tmp_path)() == 1.0


@pytest.mark.parametrize(
    ("text", "name", "function", "better"),
    [
        ("task:accuracy", "accuracy", "task:accuracy", "maximize"),
        ("top=task:accuracy", "top", "task:accuracy", "maximize"),
        ("task:loss:minimize", "loss", "task:loss", "minimize"),
        ("top = task.py:accuracy:maximize", "top", "task.py:accuracy", "maximize"),
        ("task:minimize", "minimize", "task:minimize", "maximize"),
    ],
)
def test_a_metric_has_a_name_a_function_and_a_direction(
    tmp_path: Path, text: str, name: str, function: str, better: str
) -> None:
    file = _write(tmp_path, "task.py", "")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    found = parse_metric(text, tmp_path)
    assert found == TaskMetric(name, function, found.better, FileRef(digest, file.name))
    assert found.file.path == tmp_path.resolve()
    assert found.better == better


@pytest.mark.parametrize("text", ["my metric=task:f", "1st=task:f", "a-b=task:f"])
def test_a_name_that_no_constraint_could_have_is_refused(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "task.py", "")
    with pytest.raises(UserError, match="is not a valid name for a metric"):
        parse_metric(text, tmp_path)
