import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Detail, Runner
from engines.backends.fake.backend import Fake
from engines.core.errors import EngineError
from engines.core.results import Evaluation
from engines.core.values import Candidate, Policy, Settings, Stage, Tensors, Value, Workload
from engines.machine.device_lock import DeviceLock, Shared
from engines.trials.evaluation import Report, evaluate
from engines.trials.session import Session
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.core.space import baseline_of
from tests.troublesome import candidate, worker_knows
from tests.turns import GPU, Other, is_free, nobody_waits, remove_locks, who_may_have_it
from tests.workloads import QUICK, tiny_conv, workload_of

TOGETHER = replace(QUICK, loads_together=True)


@pytest.fixture(autouse=True)
def _no_lock_is_left() -> Iterator[None]:
    yield
    remove_locks()


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
    session = Session(backend, workload, workspace, policy, lock=DeviceLock(backend.shared()))
    return evaluate(session, of, report)


@pytest.mark.parametrize("builds", [False, True])
def test_lock_is_held_from_load_to_close_and_for_builds_that_need_it(tmp_path: Path, *, builds: bool) -> None:
    backend = Watched(tmp_path, Shared(GPU.name, builds))
    measurement = evaluated(backend, tmp_path).measurement
    assert measurement is not None
    assert measurement.device_memory_bytes == 1024
    build = "nobody" if builds else "anyone"
    assert backend.others == {"build": build, "load": "nobody", "check": "nobody", "close": "nobody"}
    assert is_free()


@pytest.mark.parametrize("builds", [False, True])
def test_shared_loads_are_measured_and_closed_exclusively(tmp_path: Path, *, builds: bool) -> None:
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


def test_engine_without_memory_for_a_shared_load_is_loaded_exclusively(tmp_path: Path) -> None:
    backend = Crowded(tmp_path)
    assert evaluated(backend, tmp_path, TOGETHER).failure is None
    assert backend.others["load"] == backend.others["close"] == "nobody"
    assert is_free()


def test_loaded_engine_waits_for_other_loads_and_reports_it(tmp_path: Path) -> None:
    backend, other = Watched(tmp_path), Other(DeviceLock.shared)
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


def test_engine_is_closed_when_waiting_is_interrupted(tmp_path: Path) -> None:
    def report(stage: Stage, detail: str) -> None:
        if stage == "wait":
            raise BrokenPipeError

    backend = Watched(tmp_path)
    with DeviceLock(GPU).shared(nobody_waits):
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


def test_held_engine_locks_the_gpu_only_while_timed(worker: Worker, tmp_path: Path) -> None:
    of = candidate(workload_of(tmp_path / "tiny.onnx"))
    with worker:
        assert worker.hold(of, 60) is None
        assert is_free()
        assert worker.sample(of, 60) is None
        assert is_free()
        assert worker.release(of, 60).measurement is not None
    assert is_free()


def test_waiting_for_the_gpu_is_reported_and_costs_no_trial_time(worker: Worker, tmp_path: Path) -> None:
    of = candidate(workload_of(tmp_path / "tiny.onnx"))
    stages: list[Stage] = []
    with worker:
        worker.prepare(1)
        turn = DeviceLock(GPU).exclusive(nobody_waits)
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
