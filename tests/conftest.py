import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_forced_width() -> None:
    """Some runners export a width, and a command that a test starts would take it for its terminal's."""
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
