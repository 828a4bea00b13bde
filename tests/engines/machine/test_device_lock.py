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
WAYS = pytest.mark.parametrize("way", [DeviceLock.taken, DeviceLock.beside])


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    yield
    remove_locks()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (DeviceLock.taken, DeviceLock.taken),
        (DeviceLock.taken, DeviceLock.beside),
        (DeviceLock.beside, DeviceLock.taken),
    ],
    ids=["measuring-measuring", "measuring-loading", "loading-measuring"],
)
def test_one_has_the_gpu_and_the_next_waits_and_is_told(first: Way, then: Way) -> None:
    with first(DeviceLock(GPU), nobody_waits):
        other = Other(then)
        assert other.told.wait(20)
        assert not other.has.is_set()
    assert other.has.wait(20)
    other.leaves()
    assert is_free()


def test_those_who_load_have_the_gpu_together() -> None:
    with DeviceLock(GPU).beside(nobody_waits):
        with DeviceLock(GPU).beside(nobody_waits):
            assert who_may_have_it() == "who loads"
        assert who_may_have_it() == "who loads"
    assert who_may_have_it() == "anyone"


def test_who_waits_to_measure_goes_before_who_wants_to_load() -> None:
    with DeviceLock(GPU).beside(nobody_waits):
        measuring = Other(DeviceLock.taken)
        assert measuring.told.wait(20)
        loading = Other(DeviceLock.beside)
        assert loading.told.wait(20)
        assert who_may_have_it() == "nobody"
    assert measuring.has.wait(20)
    assert not loading.has.is_set()
    measuring.leaves()
    assert loading.has.wait(20)
    loading.leaves()
    assert is_free()


@WAYS
def test_who_waits_for_both_locks_is_told_once(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(lock: int, how: int) -> None:
        if how & fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", busy)
    told: list[bool] = []
    with way(DeviceLock(GPU), lambda: told.append(True)):
        assert told == [True]


def test_another_gpu_and_a_device_without_a_name_are_free() -> None:
    with (
        DeviceLock(GPU).taken(nobody_waits),
        DeviceLock(Shared("gpu-3c4d")).taken(nobody_waits),
        DeviceLock().taken(nobody_waits),
        DeviceLock().taken(nobody_waits),
    ):
        assert not is_free()
    assert is_free()


def test_who_waits_for_its_owner_leaves_the_gpu_to_others() -> None:
    turn = DeviceLock(GPU)
    with turn.taken(nobody_waits):
        with turn.given_up(nobody_waits):
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


@pytest.mark.parametrize(("way", "leaves_it_to"), [("taken", "nobody"), ("beside", "who loads")])
def test_a_process_that_is_killed_has_had_its_turn(way: str, leaves_it_to: str) -> None:
    with another_process(way, "has"):
        assert who_may_have_it() == leaves_it_to
    assert who_may_have_it() == "anyone"


def test_a_process_that_is_killed_while_it_waits_to_measure_waits_no_more() -> None:
    with DeviceLock(GPU).beside(nobody_waits):
        with another_process("taken", "waits"):
            assert who_may_have_it() == "nobody"
        assert who_may_have_it() == "who loads"


@WAYS
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(way: Way) -> None:
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
def test_where_no_lock_can_be_kept_measuring_goes_on(
    way: Way, lock: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lock.symlink_to(tmp_path / "elsewhere")
    with way(DeviceLock(GPU), nobody_waits):
        lock.unlink()
        assert who_may_have_it() == "anyone"
    assert f"no turns are taken on {GPU.name}" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


@WAYS
def test_every_user_may_take_turns_whatever_the_umask_is(way: Way) -> None:
    before = os.umask(0o077)
    try:
        with way(DeviceLock(GPU), nobody_waits):
            assert [lock.stat().st_mode & 0o777 for lock in (LOCK, NEXT)] == [0o644, 0o644]
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
@LOCKS
def test_a_lock_that_may_only_be_read_is_enough(lock: Path) -> None:
    lock.touch(mode=0o444)
    with DeviceLock(GPU).taken(nobody_waits):
        assert who_may_have_it() == "nobody"
