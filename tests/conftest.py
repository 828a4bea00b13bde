import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.util import pyfiles

# the tests start hundreds of processes: without byte code on disk each would compile the whole project anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session", autouse=True)
def _no_forced_width() -> None:
    """Some runners export a width, and a command that a test starts would take it for its terminal's."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Shells start what runs in the background with Ctrl-C ignored, and its processes inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _little_garbage() -> Iterator[None]:
    """Trials collect garbage, and a process full of test modules has much to look through each time.

    What a module leaves is collected at its end, so that what was not closed is found there.
    """
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def _revisions_once() -> Iterator[None]:
    """Optuna reads all of its revisions, each from its file, whenever it opens a database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfiles, "load_module_py", functools.cache(pyfiles.load_module_py))
        yield


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a named pipe that nobody writes to; whoever waits for it is interrupted after some seconds."""

    def made(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    def interrupt(*_: object) -> None:
        raise TimeoutError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(20)
    try:
        yield made
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
