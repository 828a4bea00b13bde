"""One tuner at a time on a GPU: two that measure on it at once would each time the other's work too."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
        lock = None
        try:
            lock = _open(Path(tempfile.gettempdir()) / f"tuner-{self.device.name}.lock")
            _wait_for(lock, on_wait)
        except OSError as error:
            if lock is not None:
                os.close(lock)
            sys.stderr.write(f"[W] no turns are taken on {self.device.name}: {error.strerror or error}\n")
            return
        self._lock = lock

    def _leave(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _open(path: Path) -> int:
    """Readable for every user; Linux lets none create what is another one's already in a shared folder."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _wait_for(lock: int, on_wait: OnWait) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(lock, fcntl.LOCK_EX)
