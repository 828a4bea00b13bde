"""One tuner at a time on a GPU: two that measure on it at once would each time the other's work too."""

import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# where every user and every job may write: not what TMPDIR says, which may be a job's own
FOLDER = Path("/tmp")
# every user may read it, which is all that a lock needs, whatever the umask is
MODE = 0o644

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
class Turn:
    """One process's place in the queue of a device; the system ends its turn when the process dies."""

    device: Shared = Shared()
    _lock: int | None = field(default=None, init=False)

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
    def given_up(self, on_wait: OnWait) -> Iterator[None]:
        """Lets others have the device meanwhile."""
        self._leave()
        try:
            yield
        finally:
            self._take(on_wait)

    def _take(self, on_wait: OnWait) -> None:
        if not self.device.name:
            return
        try:
            lock = _open(FOLDER / f"tuner-{self.device.name}.lock")
        except OSError as error:
            sys.stderr.write(f"[W] no turns are taken on {self.device.name}: {error.strerror or error}\n")
            return
        try:
            _wait_for(lock, on_wait)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _leave(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            # a child that was forked meanwhile has the file open too, and closing ours would leave it that
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)


def _open(path: Path) -> int:
    """Linux lets nobody create what is another user's already in a folder for all, so it is only read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        lock = os.open(path, flags | os.O_CREAT, MODE)
        os.fchmod(lock, MODE)
        return lock


def _wait_for(lock: int, on_wait: OnWait) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(lock, fcntl.LOCK_EX)
