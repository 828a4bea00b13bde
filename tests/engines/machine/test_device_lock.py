import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.machine.device_lock import DeviceLock, Shared
from tests.turns import GPU, LOCK, NEXT, Other, Way, is_free, nobody_waits, remove_locks, who_may_have_it

LOCKS = pytest.mark.parametrize("lock", [LOCK, NEXT], ids=["lock", "next"])
WAYS = pytest.mark.parametrize("way", [DeviceLock.exclusive, DeviceLock.shared])


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    yield
    remove_locks()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (DeviceLock.exclusive, DeviceLock.exclusive),
        (DeviceLock.exclusive, DeviceLock.shared),
        (DeviceLock.shared, DeviceLock.exclusive),
    ],
    ids=["measuring-measuring", "measuring-loading", "loading-measuring"],
)
def test_second_process_waits_and_is_notified(first: Way, then: Way) -> None:
    with first(DeviceLock(GPU), nobody_waits):
        other = Other(then)
        assert other.told.wait(20)
        assert not other.has.is_set()
    assert other.has.wait(20)
    other.leaves()
    assert is_free()


def test_loads_share_the_gpu() -> None:
    with DeviceLock(GPU).shared(nobody_waits):
        with DeviceLock(GPU).shared(nobody_waits):
            assert who_may_have_it() == "who loads"
        assert who_may_have_it() == "who loads"
    assert who_may_have_it() == "anyone"


def test_waiting_measurement_goes_before_new_load() -> None:
    with DeviceLock(GPU).shared(nobody_waits):
        measuring = Other(DeviceLock.exclusive)
        assert measuring.told.wait(20)
        loading = Other(DeviceLock.shared)
        assert loading.told.wait(20)
        assert who_may_have_it() == "nobody"
    assert measuring.has.wait(20)
    assert not loading.has.is_set()
    measuring.leaves()
    assert loading.has.wait(20)
    loading.leaves()
    assert is_free()


@WAYS
def test_waiting_for_both_locks_notifies_once(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(lock: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", busy)
    told: list[bool] = []
    with way(DeviceLock(GPU), lambda: told.append(True)):
        assert told == [True]


def test_other_gpus_and_unnamed_devices_are_not_locked() -> None:
    with (
        DeviceLock(GPU).exclusive(nobody_waits),
        DeviceLock(Shared("gpu-3c4d")).exclusive(nobody_waits),
        DeviceLock().exclusive(nobody_waits),
        DeviceLock().exclusive(nobody_waits),
    ):
        assert not is_free()
    assert is_free()


def test_released_lock_is_free_for_others() -> None:
    lock = DeviceLock(GPU)
    with lock.exclusive(nobody_waits):
        with lock.released(nobody_waits):
            assert is_free()
        assert not is_free()


@contextmanager
def another_process(way: str, says: str) -> Iterator[None]:
    """One that has the GPU or waits for it, as it `says`, and is killed in the end."""
    code = (
        "import signal; from engines.machine.device_lock import Shared, DeviceLock\n"
        f"with DeviceLock(Shared({GPU.name!r})).{way}(lambda: print('waits', flush=True)):\n"
        "    print('has', flush=True); signal.pause()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{says}\n".encode()
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(("way", "leaves_it_to"), [("exclusive", "nobody"), ("shared", "who loads")])
def test_killed_process_releases_the_lock(way: str, leaves_it_to: str) -> None:
    with another_process(way, "has"):
        assert who_may_have_it() == leaves_it_to
    assert who_may_have_it() == "anyone"


def test_killed_waiting_process_leaves_the_queue() -> None:
    with DeviceLock(GPU).shared(nobody_waits):
        with another_process("exclusive", "waits"):
            assert who_may_have_it() == "nobody"
        assert who_may_have_it() == "who loads"


@WAYS
def test_forked_child_does_not_keep_the_lock(way: Way) -> None:
    with way(DeviceLock(GPU), nobody_waits):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        assert who_may_have_it() == "anyone"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@LOCKS
@WAYS
def test_measuring_goes_on_when_the_lock_file_cannot_be_opened(
    way: Way, lock: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lock.symlink_to(tmp_path / "elsewhere")
    with way(DeviceLock(GPU), nobody_waits):
        lock.unlink()
        assert who_may_have_it() == "anyone"
    assert f"cannot lock {GPU.name} against other tuners" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


@WAYS
def test_lock_file_is_readable_by_all_users_whatever_the_umask(way: Way) -> None:
    before = os.umask(0o077)
    try:
        with way(DeviceLock(GPU), nobody_waits):
            assert [lock.stat().st_mode & 0o777 for lock in (LOCK, NEXT)] == [0o644, 0o644]
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
@LOCKS
def test_read_only_lock_file_is_enough(lock: Path) -> None:
    lock.touch(mode=0o444)
    with DeviceLock(GPU).exclusive(nobody_waits):
        assert who_may_have_it() == "nobody"
