"""One tuner at a time on a GPU: two that measure on it at once would each time the other's work too.

Loading engines disturbs who measures, but not who loads: that may be done beside others.
"""

import fcntl
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# where every user and every job may write: not what TMPDIR says, which may be a job's own
FOLDER = Path("/tmp")
# every user may read it, which is all that a lock needs, whatever the umask is
MODE = 0o644
# who wants the device to itself shares the first lock until it leaves, and who wants it beside others passes
# through that alone, so only when nobody wants it so; the second lock is the device's own
ENDINGS = (".next.lock", ".lock")
ALONE = (fcntl.LOCK_SH, fcntl.LOCK_EX)
BESIDE = (fcntl.LOCK_EX, fcntl.LOCK_SH)

# told once, when another one has the device
OnWait = Callable[[], None]


@dataclass(frozen=True)
class Shared:
    """A device that tuners of this machine take turns on, by a name that they all know it by.

    Empty for one that nobody waits for. `builds`: building an engine needs it too.
    """

    name: str = ""
    builds: bool = False


@dataclass
class DeviceLock:
    """One process's place in the queue of a device; the system ends its turn when the process dies."""

    device: Shared = Shared()
    _locks: list[int] = field(default_factory=list, init=False)

    @contextmanager
    def taken(self, on_wait: OnWait, *, needed: bool = True) -> Iterator[None]:
        """Has the device to itself, after waiting for it where another one has it; not to be nested."""
        if needed:
            self._take(on_wait)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def beside(self, on_wait: OnWait) -> Iterator[None]:
        """Has the device beside others that have it like this, after those who have it to themselves or wait
        for that; not to be nested.
        """
        self._take(on_wait, alone=False)
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def given_up(self, on_wait: OnWait) -> Iterator[None]:
        """Lets others have the device meanwhile, of one that has it to itself."""
        self._leave()
        try:
            yield
        finally:
            self._take(on_wait)

    def _take(self, on_wait: OnWait, *, alone: bool = True) -> None:
        if not self.device.name:
            return
        try:
            for ending in ENDINGS:
                self._locks.append(_open(FOLDER / f"tuner-{self.device.name}{ending}"))
        except OSError as error:
            self._leave()
            sys.stderr.write(f"[W] no turns are taken on {self.device.name}: {error.strerror or error}\n")
            return
        try:
            _wait_for(zip(self._locks, ALONE if alone else BESIDE, strict=True), on_wait)
        except BaseException:
            self._leave()
            raise
        if not alone:
            _close(self._locks.pop(0))

    def _leave(self) -> None:
        while self._locks:
            _close(self._locks.pop())


def _open(path: Path) -> int:
    """Linux lets nobody create what is another user's already in a folder for all, so it is only read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        lock = os.open(path, flags | os.O_CREAT, MODE)
        os.fchmod(lock, MODE)
        return lock


def _close(lock: int) -> None:
    # a child that was forked meanwhile has the file open too, and closing ours would leave it that
    fcntl.flock(lock, fcntl.LOCK_UN)
    os.close(lock)


def _wait_for(locks: Iterable[tuple[int, int]], on_wait: OnWait) -> None:
    """Takes the locks one after another, each in its way."""
    is_told = False
    for lock, way in locks:
        try:
            fcntl.flock(lock, way | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_told:
                on_wait()
            is_told = True
            fcntl.flock(lock, way)
