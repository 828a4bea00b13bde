# ruff: noqa: T201 - what a library prints must reach the log
"""A backend whose builds do to their process what a vendor's library may, for workers to survive.

`worker_knows` makes it known to the worker processes that a test starts.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from engines.backends.base import Detail
from engines.backends.fake.backend import Fake
from engines.core.errors import EngineError, UserError
from engines.core.values import Candidate, Settings, Value, Workload
from engines.machine.device_lock import Shared
from studies.core.space import baseline_of

ANNOUNCEMENT = "the worker is process "
CHILD = "its child is process "


class Troublesome(Fake):
    """The fake, with one more build setting: what the build does before it succeeds."""

    def __init__(self, options: Settings, folder: Path) -> None:
        super().__init__(Settings(), folder)
        self._shared = Shared(str(options.get("shared", "")))
        if options.get("start") == "dies":
            print("no licence found", file=sys.stderr)
            os._exit(3)
        if options.get("start") == "refuses":
            raise UserError("the device is in use", "Wait for it.")

    def shared(self) -> Shared:
        return self._shared

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        print(f"{ANNOUNCEMENT}{os.getpid()}")
        DEEDS[str(candidate.build["deed"])]()
        return super().build(graph, workload, candidate, folder, report)


def candidate(workload: Workload, deed: str = "nothing") -> Candidate:
    """The fake's baseline, built with a deed."""
    plain = baseline_of(Fake(Settings(), Path()).dimensions(workload, concurrent=False))
    return replace(plain, build=Settings(plain.build, deed=deed))


def worker_knows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every worker that is started from now on know the backend `troublesome`."""
    (folder / "sitecustomize.py").write_text(
        "from engines.backends.registry import BACKENDS, BackendEntry\n"
        "BACKENDS['troublesome'] = BackendEntry(\n"
        f"    {__name__!r}, 'Troublesome', 'trouble', None, '', automatic=False\n"
        ")\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def process_in(log: str, announcement: str = ANNOUNCEMENT) -> int:
    """The process that a log announces."""
    return int(log.rpartition(announcement)[2].partition("\n")[0])


def is_running(process: int) -> bool:
    """Whether any thread of it lives; what only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{process}/task").iterdir())) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(process: int) -> list[int]:
    """The processes that it started and that are not reaped."""
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Looks again and again; fails when the time is up."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.005)


def _die_of(number: int) -> None:
    os.kill(os.getpid(), number)


def _hang() -> NoReturn:
    while True:
        time.sleep(1)


def _hang_with_the_interpreters_lock() -> None:
    ctypes.PyDLL(None).sleep(600)


def _print_everywhere() -> None:
    print("from Python's stdout")
    print("from Python's stderr", file=sys.stderr)
    ctypes.CDLL(None).printf(b"from C's stdout\n")
    os.write(1, b"from the file descriptor\n")
    subprocess.run(["echo", "from a child"], check=True)


def _print_in_c_and_crash() -> None:
    ctypes.CDLL(None).printf(b"the last words\n")
    _die_of(signal.SIGSEGV)


def _start_a_child() -> None:
    print(f"{CHILD}{subprocess.Popen(['sleep', '600']).pid}")


def _start_a_child_and_hang() -> None:
    _start_a_child()
    _hang()


def _start_a_child_and_crash() -> None:
    _start_a_child()
    _die_of(signal.SIGSEGV)


def _fork_and_crash() -> None:
    """The child has the worker's end of the pipe, as the children of multiprocessing do."""
    child = os.fork()
    if child == 0:
        _hang()
    print(f"{CHILD}{child}")
    _die_of(signal.SIGSEGV)


def _refuse_unreadably() -> NoReturn:
    raise EngineError("a kind that nobody knows", kind="nonsense")


DEEDS: Mapping[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "segfault": lambda: _die_of(signal.SIGSEGV),
    "abort": os.abort,
    "sigkill": lambda: _die_of(signal.SIGKILL),
    "exit": lambda: os._exit(7),
    "sys.exit": lambda: sys.exit(7),
    "hang": _hang,
    "hang with the lock": _hang_with_the_interpreters_lock,
    "print": _print_everywhere,
    "print and crash": _print_in_c_and_crash,
    "read": lambda: print(f"read {sys.stdin.read()!r} and {os.read(0, 10)!r}"),
    "child": _start_a_child,
    "child and hang": _start_a_child_and_hang,
    "child and crash": _start_a_child_and_crash,
    "fork and crash": _fork_and_crash,
    "refuse unreadably": _refuse_unreadably,
}
