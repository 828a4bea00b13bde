import subprocess
import sys
from pathlib import Path

import pytest

from engines.backends.registry import open_backend
from engines.core.errors import UserError
from engines.core.values import Settings, Value

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")


@pytest.mark.parametrize(
    ("option", "value", "message", "hint"),
    [
        (
            "log",
            "chatty",
            "has no log level 'chatty'",
            "Known: INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE.",
        ),
        ("device", "first", "cannot take device=first", "Write a whole number."),
        ("device", True, "cannot take device=True", "Write a whole number."),
        ("builder_threads", 1.5, "cannot take builder_threads=1.5", "Write a whole number."),
        ("serialize_plugins", "yes", "cannot take serialize_plugins=yes", "Write true or false."),
        ("plugins", "/no/such.so", "no such plugin library: /no/such.so", "Check the path."),
    ],
)
def test_an_option_that_cannot_be_is_the_users_mistake(
    tmp_path: Path, option: str, value: Value, message: str, hint: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        open_backend("tensorrt-rtx", Settings({option: value}), tmp_path)
    assert caught.value.hint == hint


@pytest.mark.parametrize("level", ["verbose", "WARNING"])
def test_a_log_level_may_be_written_small(tmp_path: Path, level: str) -> None:
    assert open_backend("tensorrt-rtx", Settings(log=level), tmp_path).name == "tensorrt-rtx"


def test_a_library_that_is_none_is_refused_with_the_loaders_words(tmp_path: Path) -> None:
    """In a process of its own, as a worker is: the vendor's library keeps the first logger of a process."""
    library = tmp_path / "libplugin.so"
    library.write_bytes(b"no library")
    program = f"""
from pathlib import Path
from engines.backends.registry import open_backend
from engines.core.values import Settings
open_backend("tensorrt-rtx", Settings(plugins={str(library)!r}), Path({str(tmp_path)!r}))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    said = f"UserError: the plugin library {library} cannot be loaded: "
    last = ran.stderr.splitlines()[-1]
    assert last.startswith(f"engines.core.errors.{said}")
    assert "file too short" in last


def test_a_plugin_without_a_folder_is_looked_for_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.so").write_bytes(b"")
    with pytest.raises(UserError, match=f"no such plugin library: {tmp_path}/two.so"):
        open_backend("tensorrt-rtx", Settings(plugins="one.so+two.so"), tmp_path)
