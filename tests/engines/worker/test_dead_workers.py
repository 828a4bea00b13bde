"""Workers that die, hang or are killed, and their children."""

import os
import signal
import time

import pytest

from engines.core.values import Stage, Workload
from engines.worker.client import Worker
from tests.engines.worker.workers import PLENTY, tried, variant
from tests.troublesome import CHILD, candidate, is_running, process_in, wait_until


@pytest.mark.parametrize(
    ("deed", "kind", "message"),
    [
        ("segfault", "crashed", "the worker died of SIGSEGV"),
        ("abort", "crashed", "the worker died of SIGABRT"),
        ("exit", "crashed", "the worker ended by itself with exit code 7"),
        ("sys.exit", "crashed", "the worker ended by itself with exit code 7"),
        ("sigkill", "out_of_memory", "the worker was killed (SIGKILL), most likely by the system"),
        ("refuse unreadably", "internal", "the worker's answer cannot be read: Invalid enum value"),
    ],
)
def test_a_death_is_a_failed_evaluation_and_the_next_candidate_gets_another_worker(
    worker: Worker, workload: Workload, deed: str, kind: str, message: str
) -> None:
    start = time.monotonic()
    dead, first = tried(worker, candidate(workload, deed))
    passed = time.monotonic() - start
    assert dead.failure is not None
    assert (dead.failure.kind, dead.failure.stage) == (kind, "build")
    assert dead.failure.message.startswith(message)
    assert list(dead.stage_seconds)[-1] == "build"
    assert 0 <= dead.stage_seconds["build"] <= sum(dead.stage_seconds.values()) <= passed < PLENTY
    alive, second = tried(worker, candidate(workload))
    assert alive.measurement is not None
    assert second != first
    assert not is_running(first)


@pytest.mark.parametrize("deed", ["hang", "hang with the lock"])
def test_a_candidate_that_takes_too_long_is_killed_with_its_worker(
    worker: Worker, workload: Workload, deed: str
) -> None:
    _, first = tried(worker, candidate(workload))
    hung, same = tried(worker, candidate(workload, deed), seconds=1.0)
    assert hung.failure is not None
    assert (hung.failure.kind, hung.failure.stage) == ("timeout", "build")
    assert hung.failure.message == "still not done after 1 s"
    assert hung.stage_seconds["build"] == pytest.approx(1.0, abs=0.8)
    assert same == first
    assert not is_running(first)
    assert worker.evaluate(candidate(workload), PLENTY).measurement is not None


def test_a_hang_is_shown_as_time_that_passes_in_its_stage(worker: Worker, workload: Workload) -> None:
    told: list[Stage] = []
    worker.evaluate(candidate(workload, "hang"), 1.0, lambda stage, _: told.append(stage))
    assert told[-3:] == ["build", "build", "build"]


@pytest.mark.parametrize("deed", ["child and hang", "child and crash", "fork and crash"])
def test_the_children_of_a_worker_die_with_it(worker: Worker, workload: Workload, deed: str) -> None:
    worker.open()
    start = time.monotonic()
    failed = worker.evaluate(candidate(workload, deed), 1.0 if "hang" in deed else PLENTY)
    assert failed.failure is not None
    assert time.monotonic() - start < PLENTY / 3
    wait_until(lambda: not is_running(process_in(worker.log_since(0), CHILD)))


def test_the_children_of_a_worker_end_with_the_search(worker: Worker, workload: Workload) -> None:
    _, process = tried(worker, candidate(workload, "child"))
    child = process_in(worker.log_since(0), CHILD)
    assert is_running(child)
    worker.close()
    assert not is_running(process)
    wait_until(lambda: not is_running(child))


def test_a_worker_that_was_killed_while_it_was_idle_costs_no_candidate(
    worker: Worker, workload: Workload
) -> None:
    _, first = tried(worker, candidate(workload))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_running(first))
    evaluation, second = tried(worker, variant(workload, max_aux_streams=1))
    assert evaluation.measurement is not None
    assert second != first
