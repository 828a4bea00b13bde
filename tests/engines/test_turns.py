import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from engines.backends.base import Detail, Runner
from engines.backends.fake import Fake
from engines.bench import Bench
from engines.evaluation import evaluate
from engines.isolation import Worker
from engines.protocol import Open
from engines.turns import FOLDER, Shared, Turn
from engines.values import Candidate, Policy, Settings, Stage, Tensors, Value, Workload
from engines.workspace import Workspace
from studies.space import baseline_of
from tests.troublesome import candidate, worker_knows
from tests.workloads import QUICK, tiny_conv, workload_of

GPU = Shared(f"test-{os.getpid()}")
LOCK = FOLDER / f"tuner-{GPU.name}.lock"


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    yield
    LOCK.unlink(missing_ok=True)


def nobody_waits() -> None:
    pytest.fail("nobody else has the GPU")


def is_free() -> bool:
    """Whether another tuner would have its turn at once."""
    waited: list[bool] = []

    class Busy(Exception):
        pass

    def on_wait() -> None:
        waited.append(True)
        raise Busy

    try:
        with Turn(GPU).taken(on_wait):
            pass
    except Busy:
        pass
    return not waited


def test_one_has_the_gpu_and_the_next_waits_and_is_told() -> None:
    told, had = threading.Event(), threading.Event()

    def second() -> None:
        with Turn(GPU).taken(told.set):
            had.set()

    with Turn(GPU).taken(nobody_waits):
        other = threading.Thread(target=second)
        other.start()
        assert told.wait(20)
        assert not had.is_set()
    other.join(20)
    assert had.is_set()
    assert LOCK.stat().st_mode & 0o777 == 0o644


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


def test_a_process_that_is_killed_has_had_its_turn() -> None:
    code = (
        "import time; from engines.turns import Shared, Turn\n"
        f"with Turn(Shared({GPU.name!r})).taken(lambda: None): print('taken', flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"taken\n"
        assert not is_free()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_free()


def test_a_child_that_was_forked_meanwhile_does_not_keep_the_turn() -> None:
    with Turn(GPU).taken(nobody_waits):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        assert is_free()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_where_no_lock_can_be_kept_measuring_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    LOCK.symlink_to(tmp_path / "elsewhere")
    with Turn(GPU).taken(nobody_waits):
        pass
    assert f"no turns are taken on {GPU.name}" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_every_user_may_take_turns_whatever_the_umask_is() -> None:
    before = os.umask(0o077)
    try:
        with Turn(GPU).taken(nobody_waits):
            assert LOCK.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_lock_that_may_only_be_read_is_enough() -> None:
    LOCK.touch(mode=0o444)
    with Turn(GPU).taken(nobody_waits):
        assert not is_free()


class Watched(Fake):
    """The fake on a device of its own, which writes down who could have had the device meanwhile."""

    def __init__(self, folder: Path, device: Shared = GPU) -> None:
        super().__init__(Settings(), folder)
        self._device = device
        self.free: dict[str, bool] = {}

    def shared(self) -> Shared:
        return self._device

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        self.free["build"] = is_free()
        return super().build(graph, workload, candidate, folder, report)

    def open(
        self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors, policy: Policy = QUICK
    ) -> Runner:
        self.free["load"] = is_free()
        runner = super().open(folder, workload, settings, inputs, policy)
        infer, close = runner.infer, runner.close
        runner.infer = self._watching("check", infer)  # type: ignore[method-assign]
        runner.close = self._watching("close", close)  # type: ignore[method-assign]
        return runner

    def _watching(self, what: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            self.free[what] = is_free()
            return do(*arguments)

        return watched


@pytest.mark.parametrize("builds", [False, True])
def test_an_engine_has_the_gpu_from_loading_to_closing_and_a_build_if_it_needs_it(
    tmp_path: Path, *, builds: bool
) -> None:
    workspace = Workspace(tmp_path / "w").create()
    workload = workload_of(tiny_conv(tmp_path))
    backend = Watched(tmp_path, Shared(GPU.name, builds))
    of = baseline_of(backend.dimensions(workload, concurrent=False))
    bench = Bench(backend, workload, workspace, QUICK, turn=Turn(backend.shared()))
    assert evaluate(bench, of, lambda *_: None).measurement is not None
    assert backend.free == {"build": not builds, "load": False, "check": False, "close": False}
    assert is_free()


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
