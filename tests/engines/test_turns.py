import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.backends.base import Detail, Runner
from engines.backends.fake import Fake
from engines.bench import Bench
from engines.errors import EngineError
from engines.evaluation import Report, evaluate
from engines.isolation import Worker
from engines.protocol import Open
from engines.turns import FOLDER, OnWait, Shared, Turn
from engines.values import Candidate, Evaluation, Policy, Settings, Stage, Tensors, Value, Workload
from engines.workspace import Workspace
from studies.space import baseline_of
from tests.troublesome import candidate, worker_knows
from tests.workloads import QUICK, tiny_conv, workload_of

TOGETHER = replace(QUICK, loads_together=True)
GPU = Shared(f"test-{os.getpid()}")
LOCK = FOLDER / f"tuner-{GPU.name}.lock"
NEXT = FOLDER / f"tuner-{GPU.name}.next.lock"
LOCKS = pytest.mark.parametrize("lock", [LOCK, NEXT], ids=["lock", "next"])
# has the device in this way
Way = Callable[[Turn, OnWait], AbstractContextManager[None]]
WAYS = pytest.mark.parametrize("way", [Turn.taken, Turn.beside])


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    yield
    for lock in (LOCK, NEXT):
        lock.unlink(missing_ok=True)


def nobody_waits() -> None:
    pytest.fail("nobody else has the GPU")


def is_free(way: Way = Turn.taken) -> bool:
    """Whether another tuner would have its turn at once."""
    waited: list[bool] = []

    class Busy(Exception):
        pass

    def on_wait() -> None:
        waited.append(True)
        raise Busy

    try:
        with way(Turn(GPU), on_wait):
            pass
    except Busy:
        pass
    return not waited


def who_may_have_it() -> str:
    if is_free():
        return "anyone"
    return "who loads" if is_free(Turn.beside) else "nobody"


class Other:
    """Another tuner, in a thread: has the GPU once it can, and until it is told to leave."""

    def __init__(self, way: Way) -> None:
        self.told, self.has, self.leave = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(way,), daemon=True)
        self._thread.start()

    def _run(self, way: Way) -> None:
        with way(Turn(GPU), self.told.set):
            self.has.set()
            self.leave.wait(20)

    def leaves(self) -> None:
        self.leave.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    ("first", "then"),
    [(Turn.taken, Turn.taken), (Turn.taken, Turn.beside), (Turn.beside, Turn.taken)],
    ids=["measuring-measuring", "measuring-loading", "loading-measuring"],
)
def test_one_has_the_gpu_and_the_next_waits_and_is_told(first: Way, then: Way) -> None:
    with first(Turn(GPU), nobody_waits):
        other = Other(then)
        assert other.told.wait(20)
        assert not other.has.is_set()
    assert other.has.wait(20)
    other.leaves()
    assert is_free()


def test_those_who_load_have_the_gpu_together() -> None:
    with Turn(GPU).beside(nobody_waits):
        with Turn(GPU).beside(nobody_waits):
            assert who_may_have_it() == "who loads"
        assert who_may_have_it() == "who loads"
    assert who_may_have_it() == "anyone"


def test_who_waits_to_measure_goes_before_who_wants_to_load() -> None:
    with Turn(GPU).beside(nobody_waits):
        measuring = Other(Turn.taken)
        assert measuring.told.wait(20)
        loading = Other(Turn.beside)
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
    with way(Turn(GPU), lambda: told.append(True)):
        assert told == [True]


def test_another_gpu_and_a_device_without_a_name_are_free() -> None:
    with (
        Turn(GPU).taken(nobody_waits),
        Turn(Shared("gpu-3c4d")).taken(nobody_waits),
        Turn().taken(nobody_waits),
        Turn().taken(nobody_waits),
    ):
        assert not is_free()
    assert is_free()


def test_who_waits_for_its_owner_leaves_the_gpu_to_others() -> None:
    turn = Turn(GPU)
    with turn.taken(nobody_waits):
        with turn.given_up(nobody_waits):
            assert is_free()
        assert not is_free()


@contextmanager
def another_process(way: str, says: str) -> Iterator[None]:
    """One that has the GPU or waits for it, as it `says`, and is killed in the end."""
    code = (
        "import signal; from engines.turns import Shared, Turn\n"
        f"with Turn(Shared({GPU.name!r})).{way}(lambda: print('waits', flush=True)):\n"
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
    with Turn(GPU).beside(nobody_waits):
        with another_process("taken", "waits"):
            assert who_may_have_it() == "nobody"
        assert who_may_have_it() == "who loads"


@WAYS
def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn(way: Way) -> None:
    with way(Turn(GPU), nobody_waits):
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
    with way(Turn(GPU), nobody_waits):
        lock.unlink()
        assert who_may_have_it() == "anyone"
    assert f"no turns are taken on {GPU.name}" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


@WAYS
def test_every_user_may_take_turns_whatever_the_umask_is(way: Way) -> None:
    before = os.umask(0o077)
    try:
        with way(Turn(GPU), nobody_waits):
            assert [lock.stat().st_mode & 0o777 for lock in (LOCK, NEXT)] == [0o644, 0o644]
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
@LOCKS
def test_a_lock_that_may_only_be_read_is_enough(lock: Path) -> None:
    lock.touch(mode=0o444)
    with Turn(GPU).taken(nobody_waits):
        assert who_may_have_it() == "nobody"


class Watched(Fake):
    """The fake on a device of its own, which writes down who could have had the device meanwhile."""

    def __init__(self, folder: Path, device: Shared = GPU) -> None:
        super().__init__(Settings(), folder)
        self._device = device
        self.others: dict[str, str] = {}

    def shared(self) -> Shared:
        return self._device

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        self.others["build"] = who_may_have_it()
        return super().build(graph, workload, candidate, folder, report)

    def open(
        self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors, policy: Policy = QUICK
    ) -> Runner:
        self.others["load"] = who_may_have_it()
        runner = super().open(folder, workload, settings, inputs, policy)
        runner.device_memory_bytes = 1024  # type: ignore[misc]
        infer, close = runner.infer, runner.close
        runner.infer = self._watching("check", infer)  # type: ignore[method-assign]
        runner.close = self._watching("close", close)  # type: ignore[method-assign]
        return runner

    def _watching(self, what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.others[what] = who_may_have_it()
            return do(*arguments)

        return watched


def evaluated(
    backend: Watched, folder: Path, policy: Policy = QUICK, report: Report = lambda *_: None
) -> Evaluation:
    """What comes of the baseline."""
    workspace = Workspace(folder / "w").create()
    workload = workload_of(tiny_conv(folder))
    of = baseline_of(backend.dimensions(workload, concurrent=False))
    bench = Bench(backend, workload, workspace, policy, turn=Turn(backend.shared()))
    return evaluate(bench, of, report)


@pytest.mark.parametrize("builds", [False, True])
def test_an_engine_has_the_gpu_from_loading_to_closing_and_a_build_if_it_needs_it(
    tmp_path: Path, *, builds: bool
) -> None:
    backend = Watched(tmp_path, Shared(GPU.name, builds))
    measurement = evaluated(backend, tmp_path).measurement
    assert measurement is not None
    assert measurement.device_memory_bytes == 1024
    build = "nobody" if builds else "anyone"
    assert backend.others == {"build": build, "load": "nobody", "check": "nobody", "close": "nobody"}
    assert is_free()


@pytest.mark.parametrize("builds", [False, True])
def test_engines_that_are_loaded_together_are_measured_and_closed_alone(
    tmp_path: Path, *, builds: bool
) -> None:
    backend = Watched(tmp_path, Shared(GPU.name, builds))
    measurement = evaluated(backend, tmp_path, TOGETHER).measurement
    assert measurement is not None
    assert measurement.device_memory_bytes is None
    build = "nobody" if builds else "anyone"
    assert backend.others == {"build": build, "load": "who loads", "check": "nobody", "close": "nobody"}
    assert who_may_have_it() == "anyone"


class Crowded(Watched):
    """Too small for an engine beside those of others."""

    def open(
        self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors, policy: Policy = QUICK
    ) -> Runner:
        if who_may_have_it() != "nobody":
            raise EngineError("the others have the memory", kind="out_of_memory")
        return super().open(folder, workload, settings, inputs, policy)


def test_an_engine_that_has_no_room_beside_others_is_loaded_alone(tmp_path: Path) -> None:
    backend = Crowded(tmp_path)
    assert evaluated(backend, tmp_path, TOGETHER).failure is None
    assert backend.others["load"] == backend.others["close"] == "nobody"
    assert is_free()


def test_an_engine_that_was_loaded_waits_for_other_loads_to_end_and_says_so(tmp_path: Path) -> None:
    backend, other = Watched(tmp_path), Other(Turn.beside)
    assert other.has.wait(20)
    stages: list[Stage] = []

    def report(stage: Stage, detail: str) -> None:
        stages.append(stage)
        if stage == "wait":
            assert who_may_have_it() == "nobody"
            other.leaves()

    assert evaluated(backend, tmp_path, TOGETHER, report).measurement is not None
    assert stages[stages.index("load") :] == ["load", "wait", "check", "warm-up", "measure", "check"]
    assert backend.others["check"] == "nobody"


def test_an_engine_that_cannot_wait_to_be_measured_is_closed(tmp_path: Path) -> None:
    def report(stage: Stage, detail: str) -> None:
        if stage == "wait":
            raise BrokenPipeError

    backend = Watched(tmp_path)
    with Turn(GPU).beside(nobody_waits):
        assert evaluated(backend, tmp_path, TOGETHER, report).failure is not None
        assert backend.others == {"build": "who loads", "load": "who loads", "close": "who loads"}
    assert who_may_have_it() == "anyone"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    worker_knows(tmp_path, monkeypatch)
    workspace = Workspace(tmp_path / "w").create()
    workload = workload_of(tiny_conv(tmp_path))
    options = Settings(start="works", shared=GPU.name)
    asked = Open("troublesome", options, str(workspace.root), workload, QUICK, concurrent=False)
    return Worker(asked, workspace)


def test_an_engine_that_is_held_has_the_gpu_only_while_it_is_timed(worker: Worker, tmp_path: Path) -> None:
    of = candidate(workload_of(tmp_path / "tiny.onnx"))
    with worker:
        assert worker.hold(of, 60) is None
        assert is_free()
        assert worker.sample(of, 60) is None
        assert is_free()
        assert worker.release(of, 60).measurement is not None
    assert is_free()


def test_a_trial_waits_for_the_gpu_without_losing_its_time_and_says_so(
    worker: Worker, tmp_path: Path
) -> None:
    of = candidate(workload_of(tmp_path / "tiny.onnx"))
    stages: list[Stage] = []
    with worker:
        worker.prepare(1)
        turn = Turn(GPU).taken(nobody_waits)
        turn.__enter__()
        leave = threading.Event()

        def on_progress(stage: Stage, detail: str) -> None:
            stages.append(stage)
            # the owner ticks while it waits, longer than the trial may take
            if stages.count("wait") > 8 and not leave.is_set():
                leave.set()
                turn.__exit__(None, None, None)

        evaluation = worker.evaluate(of, 1.5, on_progress)
    assert evaluation.measurement is not None
    assert "wait" not in evaluation.stage_seconds
    assert stages.count("wait") > 8
    assert is_free()
