import os

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
        monkeypatch.setattr("tuner.final.finalists", lambda study, most: ())
