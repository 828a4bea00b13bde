"""A GPU of the tests' own, and who has it."""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from engines.machine.device_lock import FOLDER, DeviceLock, OnWait, Shared

GPU = Shared(f"test-{os.getpid()}")
LOCK = FOLDER / f"tuner-{GPU.name}.lock"
NEXT = FOLDER / f"tuner-{GPU.name}.next.lock"
# has the device in this way
Way = Callable[[DeviceLock, OnWait], AbstractContextManager[None]]


def remove_locks() -> None:
    for lock in (LOCK, NEXT):
        lock.unlink(missing_ok=True)


def nobody_waits() -> None:
    pytest.fail("nobody else has the GPU")


def is_free(way: Way = DeviceLock.exclusive) -> bool:
    """Whether another tuner would have its turn at once."""
    waited: list[bool] = []

    class Busy(Exception):
        pass

    def on_wait() -> None:
        waited.append(True)
        raise Busy

    try:
        with way(DeviceLock(GPU), on_wait):
            pass
    except Busy:
        pass
    return not waited


def who_may_have_it() -> str:
    if is_free():
        return "anyone"
    return "who loads" if is_free(DeviceLock.shared) else "nobody"


class Other:
    """Another tuner, in a thread: has the GPU once it can, and until it is told to leave."""

    def __init__(self, way: Way) -> None:
        self.told, self.has, self.leave = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(way,), daemon=True)
        self._thread.start()

    def _run(self, way: Way) -> None:
        with way(DeviceLock(GPU), self.told.set):
            self.has.set()
            self.leave.wait(20)

    def leaves(self) -> None:
        self.leave.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
