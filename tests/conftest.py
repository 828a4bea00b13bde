import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_forced_width() -> None:
    """Some runners export a width, and a command that a test starts would take it for its terminal's."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _no_finals(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finals start 25 processes; only tests marked `finals` have a search hold them."""
    if request.node.get_closest_marker("finals") is None:
        monkeypatch.setattr("tuner.workflows.finals.finalists", lambda study, most: ())


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
