import errno
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.artifacts.store import FACTS
from engines.artifacts.workspace import Workspace
from engines.backends.base import Detail, Runner
from engines.backends.fake.backend import Fake
from engines.core.errors import EngineError, UserError
from engines.core.results import Block
from engines.core.values import Candidate, InputSource, Policy, Settings, Tensors, Value, Workload
from engines.data.inputs import check_inputs_file
from engines.data.user_functions import parse_metric
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from studies.core.space import baseline_of
from tests.workloads import QUICK, file_at, tiny_conv, workload_of


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake's folder for caches is where a test runs."""
    monkeypatch.chdir(tmp_path)


class Faulty(Fake):
    """The fake, with a stage replaced."""

    def __init__(self, error: Exception | None = None, stage: str = "", drift: float = 0.0) -> None:
        super().__init__(Settings(), Path())
        self.error, self.stage, self.drift = error, stage, drift
        self.closed = 0

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        if self.stage == "build" and self.error:
            raise self.error
        return super().build(graph, workload, candidate, folder, report)

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = QUICK,
    ) -> Runner:
        return _Watched(super().open(folder, workload, settings, inputs, policy), self)


class _Watched:
    def __init__(self, runner: Runner, owner: Faulty) -> None:
        self._runner, self._owner, self.streams = runner, owner, runner.streams
        self._timed = False
        self.device_memory_bytes = None

    def infer(self, inputs: Tensors, stream: int = 0) -> Tensors:
        outputs = self._runner.infer(inputs, stream)
        shift = self._owner.drift if self._timed else 0.0
        return {name: (value + shift).astype(value.dtype) for name, value in outputs.items()}  # type: ignore[operator]

    def block(self, seconds: float, *, cold: bool = False) -> Block:
        self._timed = True
        if self._owner.stage == "measure" and self._owner.error:
            raise self._owner.error
        return self._runner.block(seconds, cold=cold)

    def close(self) -> None:
        self._owner.closed += 1
        self._runner.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


def _session(backend: Fake, workspace: Workspace) -> tuple[Session, Candidate]:
    workload = workload_of(tiny_conv(workspace.root))
    return Session(backend, workload, workspace, QUICK), baseline_of(backend.dimensions(workload, False))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EngineError("no such tactic"), "refused"),
        (EngineError("too large", kind="out_of_memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (ZeroDivisionError("division by zero"), "internal"),
    ],
)
def test_build_error_becomes_failure_of_same_kind(error: Exception, kind: str, workspace: Workspace) -> None:
    session, candidate = _session(Faulty(error, "build"), workspace)
    failure = evaluate(session, candidate, lambda *_: None).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("build", kind)
    assert failure.message
    assert list(workspace.engines.iterdir()) == []


def test_an_internal_error_leaves_its_traceback_in_the_log(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    session, candidate = _session(Faulty(ZeroDivisionError("oops"), "build"), workspace)
    evaluate(session, candidate, lambda *_: None)
    assert "ZeroDivisionError: oops" in capsys.readouterr().err


def test_a_users_mistake_passes_through(workspace: Workspace) -> None:
    session, candidate = _session(Faulty(UserError("free the device"), "build"), workspace)
    with pytest.raises(UserError, match="free the device"):
        evaluate(session, candidate, lambda *_: None)


def test_an_engine_is_closed_whatever_happens(workspace: Workspace) -> None:
    backend = Faulty(EngineError("launch failed"), "measure")
    session, candidate = _session(backend, workspace)
    evaluation = evaluate(session, candidate, lambda *_: None)
    assert evaluation.failure is not None
    assert evaluation.accuracy is not None  # what was known by then is kept
    assert evaluation.engine is not None
    assert backend.closed == 1


def test_an_engine_that_goes_wrong_under_load_is_caught(workspace: Workspace) -> None:
    session, candidate = _session(Faulty(drift=0.5), workspace)
    accuracy = evaluate(session, candidate, lambda *_: None).accuracy
    assert accuracy is not None
    assert accuracy.error > 0.1


def test_an_engine_that_turns_to_nan_under_load_fails(workspace: Workspace) -> None:
    session, candidate = _session(Faulty(drift=np.nan), workspace)
    failure = evaluate(session, candidate, lambda *_: None).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("check", "not_finite")


def _scored(folder: Path, workspace: Workspace, body: str, **options: Value) -> tuple[Session, Candidate]:
    """A session with five samples, their labels, and a metric of this body."""
    workload = workload_of(tiny_conv(folder), x=(2, 3, 12, 12))
    np.savez(folder / "data.npz", x=np.ones((5, 3, 12, 12), np.float32), labels=np.arange(5))
    (folder / "task.py").write_text(f"calls = []\ndef score(inputs, outputs):\n    {body}\n")
    data = folder / "data.npz"
    source = check_inputs_file(
        workload.model, workload.plan.ranges, workload.batched_inputs, data, extras=True
    )
    workload = replace(workload, inputs=source, metrics=(parse_metric("task.py:score", folder),))
    backend = Fake(Settings(options), folder)
    return Session(backend, workload, workspace, QUICK), baseline_of(backend.dimensions(workload, False))


def test_a_metric_of_the_users_is_scored_before_and_after_and_the_worse_counts(
    tmp_path: Path, workspace: Workspace
) -> None:
    # called for the reference, before and after
    body = "calls.append(1); return [0.0, 0.9, 0.5][len(calls) - 1] + 0 * len(inputs['labels'])"
    session, candidate = _scored(tmp_path, workspace, body)
    evaluation = evaluate(session, candidate, lambda *_: None)
    assert evaluation.failure is None
    assert session.reference(2).scores == {"score": 0.0}
    assert evaluation.accuracy is not None
    assert evaluation.accuracy.scores == {"score": 0.5}


def test_a_metric_that_cannot_score_the_right_outputs_is_the_users_mistake(
    tmp_path: Path, workspace: Workspace
) -> None:
    session, _ = _scored(tmp_path, workspace, "return inputs['lables']")
    with pytest.raises(UserError, match="raised KeyError: 'lables'"):
        session.reference(2)


def test_a_metric_that_raises_in_a_trial_fails_that_trial(tmp_path: Path, workspace: Workspace) -> None:
    body = "calls.append(1); return 1.0 if len(calls) < 2 else {}['missing']"
    session, candidate = _scored(tmp_path, workspace, body)
    failure = evaluate(session, candidate, lambda *_: None).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == ("check", "wrong_output")
    assert failure.message == "the metric 'task.py:score' raised KeyError: 'missing' (line 3 of task.py)"


def test_a_calibration_function_is_tried_before_the_first_trial(tmp_path: Path, workspace: Workspace) -> None:
    session, _ = _scored(tmp_path, workspace, "return 1.0")
    source = InputSource(file=file_at(tmp_path), function="task.py:missing")
    session = replace(session, workload=replace(session.workload, calibration=source), references={})
    with pytest.raises(UserError, match="has no function 'missing'"):
        session.reference(2)


def test_an_engine_cut_short_by_a_crash_of_the_system_is_built_again(workspace: Workspace) -> None:
    session, candidate = _session(Fake(Settings(), Path()), workspace)
    first = evaluate(session, candidate, lambda *_: None).engine
    assert first is not None
    (workspace.engines / first.digest / FACTS).write_bytes(b"")
    second = evaluate(session, candidate, lambda *_: None).engine
    assert second is not None
    assert not second.reused


def test_a_model_that_cannot_run_at_another_batch_fails_that_candidate_only(workspace: Workspace) -> None:
    class OneBatch(Fake):
        def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
            if len(batches[0]["x"]) != workload.plan.batch:
                raise UserError("reshape to 1x8 does not fit")
            return super().reference(workload, batches)

    backend = OneBatch(Settings(), Path())
    session, candidate = _session(backend, workspace)
    other = replace(candidate, run=Settings(candidate.run, batch=4))
    failure = evaluate(session, other, lambda *_: None).failure
    assert failure is not None
    assert (failure.stage, failure.message) == ("prepare", "reshape to 1x8 does not fit")
    assert evaluate(session, candidate, lambda *_: None).failure is None
