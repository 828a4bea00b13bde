"""The local executor over a real worker process."""

import os
import signal
from collections.abc import Iterator

import pytest

from engines.artifacts.fingerprints import Reused, fingerprint
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Workload
from engines.executors.base import Event, Executor, Finished, Job, Log, Stage, Started, evaluate
from engines.executors.local import LocalExecutor
from tests.engines.worker.workers import PLENTY, opening, variant
from tests.troublesome import candidate, is_running, process_in, wait_until

LONG = 20.0


@pytest.fixture
def executor(workspace: Workspace, workload: Workload) -> Iterator[LocalExecutor]:
    with LocalExecutor(opening(workspace, workload), workspace) as opened:
        opened.open()
        yield opened


def heard(executor: Executor) -> list[Event]:
    """All that is heard of the job that is open."""
    found: list[Event] = []
    while not found or not isinstance(found[-1], Finished):
        found += executor.events(LONG)
    return found


def log_in(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Log))


def building(executor: Executor) -> None:
    """Waits until the open job builds."""
    while not any(isinstance(event, Stage) and event.stage == "build" for event in executor.events(LONG)):
        pass


def test_a_job_is_heard_of_from_its_start_to_its_end(executor: LocalExecutor, workload: Workload) -> None:
    assert executor.free() == 1
    executor.submit(Job(7, candidate(workload), PLENTY))
    assert executor.free() == 0
    events = heard(executor)
    assert executor.free() == 1
    (device,) = executor.devices
    assert {(event.number, event.device) for event in events} == {(7, device.name)}
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds[-2:]) == (Started, [Log, Finished])
    stages = [event.stage for event in events if isinstance(event, Stage)]
    assert stages[-1] == "check"
    assert {"graph", "build", "load", "measure"} < set(stages)
    last = events[-1]
    assert isinstance(last, Finished)
    assert isinstance(last.found, Evaluation)
    assert last.found.measurement is not None
    assert process_in(log_in(events)) > 0


def test_the_log_of_a_job_is_its_own(executor: LocalExecutor, workload: Workload) -> None:
    executor.submit(Job(0, candidate(workload, "print"), PLENTY))
    assert "from C's stdout" in log_in(heard(executor))
    executor.submit(Job(1, variant(workload, max_aux_streams=1), PLENTY))
    assert "from C's stdout" not in log_in(heard(executor))


def test_an_engine_that_is_known_is_only_checked(executor: LocalExecutor, workload: Workload) -> None:
    first = evaluate(executor, Job(0, candidate(workload), PLENTY))
    known = fingerprint(first.engine)
    assert known is not None
    executor.submit(Job(1, candidate(workload), PLENTY, known=(known,)))
    last = heard(executor)[-1]
    assert isinstance(last, Finished)
    assert isinstance(last.found, Reused)
    assert last.found.fingerprint == known


def test_a_worker_that_dies_is_a_failed_evaluation_and_is_replaced(
    executor: LocalExecutor, workload: Workload
) -> None:
    failed = evaluate(executor, Job(0, candidate(workload, "sigkill"), PLENTY))
    assert failed.failure is not None
    assert failed.failure.stage == "build"
    executor.submit(Job(1, candidate(workload), PLENTY))
    first = process_in(log_in(heard(executor)))
    executor.submit(Job(2, variant(workload, max_aux_streams=1), PLENTY))
    # the thread that started it still lives
    assert process_in(log_in(heard(executor))) == first


def test_a_cancelled_job_is_not_heard_of_again_and_its_worker_is_gone(
    executor: LocalExecutor, workload: Workload, workspace: Workspace
) -> None:
    executor.submit(Job(0, candidate(workload, "hang"), PLENTY))
    building(executor)
    process = process_in(_log(workspace))
    executor.cancel(0)
    wait_until(lambda: not is_running(process))
    assert executor.free() == 1
    executor.submit(Job(0, candidate(workload), PLENTY))
    last = heard(executor)[-1]
    assert isinstance(last, Finished)
    assert isinstance(last.found, Evaluation)
    assert last.found.failure is None


def test_an_executor_that_is_closed_leaves_no_process(
    executor: LocalExecutor, workload: Workload, workspace: Workspace
) -> None:
    executor.submit(Job(0, candidate(workload, "hang"), PLENTY))
    building(executor)
    process = process_in(_log(workspace))
    executor.close()
    assert not is_running(process)
    # and works again when it is needed again
    assert evaluate(executor, Job(1, candidate(workload), PLENTY)).failure is None


def test_what_the_user_must_fix_is_raised_by_whoever_waits(workspace: Workspace, workload: Workload) -> None:
    with LocalExecutor(opening(workspace, workload, "refuses"), workspace) as executor:
        executor.submit(Job(0, candidate(workload), PLENTY))
        with pytest.raises(UserError, match="the device is in use"):
            heard(executor)
        assert executor.free() == 1


def test_an_interruption_while_one_job_is_awaited_cancels_it(
    executor: LocalExecutor, workload: Workload, workspace: Workspace
) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Stage) and event.stage == "build" and process_in(_log(workspace)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(executor, Job(0, candidate(workload, "hang"), PLENTY), interrupt)
    process = process_in(_log(workspace))
    wait_until(lambda: not is_running(process))
    assert executor.free() == 1


def test_a_worker_killed_between_jobs_costs_none(executor: LocalExecutor, workload: Workload) -> None:
    executor.submit(Job(0, candidate(workload), PLENTY))
    process = process_in(log_in(heard(executor)))
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not is_running(process))
    assert evaluate(executor, Job(1, variant(workload, max_aux_streams=1), PLENTY)).failure is None


def _log(workspace: Workspace) -> str:
    """What workers printed, once one has said which process it is."""
    (file,) = workspace.logs.glob("worker-*.log")
    wait_until(lambda: "process" in file.read_text())
    return file.read_text()
