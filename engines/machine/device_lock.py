"""Let one tuner at a time measure on a GPU: two at once would each time the other's work too.

Loading an engine disturbs a measurement, but not another load, so several tuners may load at once.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# every user and every job may write here; TMPDIR may be private to a job
FOLDER = Path("/tmp")
# a lock only needs to be readable by every user, whatever the umask is
MODE = 0o644
# Of two locks the second is the device's. An exclusive user shares the first until it leaves. A sharing user
# must get the first for itself for a moment, so it waits while anybody wants the device exclusively.
ENDINGS = (".next.lock", ".lock")
EXCLUSIVE = (fcntl.LOCK_SH, fcntl.LOCK_EX)
SHARED = (fcntl.LOCK_EX, fcntl.LOCK_SH)

# called once, if another process has the device
OnWait = Callable[[], None]


@dataclass(frozen=True)
class Shared:
    """A device that the tuners of this machine take turns on.

    `name` is the same in every process; a device with an empty name is not locked. `builds`: building an
    engine needs the lock too.
    """

    name: str = ""
    builds: bool = False


@dataclass
class DeviceLock:
    """The lock of a device; the system releases it when the process dies."""

    device: Shared = Shared()
    _locks: list[int] = field(default_factory=list, init=False)

    @contextmanager
    def exclusive(self, on_wait: OnWait, *, needed: bool = True) -> Iterator[None]:
        """Hold the device for this process alone, waiting for it if necessary; not to be nested.

        Does nothing unless `needed`.
        """
        if needed:
            self._take(on_wait)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def shared(self, on_wait: OnWait) -> Iterator[None]:
        """Hold the device together with other sharing processes; not to be nested.

        Waits for processes that hold it exclusively, and for those that wait to.
        """
        self._take(on_wait, exclusive=False)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def released(self, on_wait: OnWait) -> Iterator[None]:
        """Release an exclusive lock for the duration, so that others can have the device."""
        self._leave()
        try:
            yield
        finally:
            self._take(on_wait)

    def _take(self, on_wait: OnWait, *, exclusive: bool = True) -> None:
        if not self.device.name:
            return
        try:
            for ending in ENDINGS:
                self._locks.append(_open(FOLDER / f"tuner-{self.device.name}{ending}"))
        except OSError as error:
            self._leave()
            sys.stderr.write(
                f"[W] cannot lock {self.device.name} against other tuners: {error.strerror or error}\n"
            )
            return
        try:
            _wait_for(zip(self._locks, EXCLUSIVE if exclusive else SHARED, strict=True), on_wait)
        except BaseException:
            self._leave()
            raise
        if not exclusive:
            _close(self._locks.pop(0))

    def _leave(self) -> None:
        while self._locks:
            _close(self._locks.pop())


def _open(path: Path) -> int:
    """Open for reading: in a folder for all, Linux refuses O_CREAT for a file of another user."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        lock = os.open(path, flags | os.O_CREAT, MODE)
        os.fchmod(lock, MODE)
        return lock


def _close(lock: int) -> None:
    # a child that was forked meanwhile has the file open too: closing ours would leave it locked
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def _wait_for(locks: Iterable[tuple[int, int]], on_wait: OnWait) -> None:
    """Take the locks one after another, each in its mode."""
    has_waited = False
    for lock, mode in locks:
        try:
            fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if not has_waited:
                on_wait()
            has_waited = True
            fcntl.flock(lock, mode)
