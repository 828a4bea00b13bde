"""Engines that a worker holds to be timed when asked, in turns with others."""

import os
import signal
from dataclasses import replace

import msgspec

from engines.artifacts.workspace import Workspace
from engines.core.values import Workload
from engines.worker.client import Worker
from tests.engines.worker.workers import PLENTY, opening, variant
from tests.troublesome import candidate, process_in
from tests.workloads import QUICK


def test_an_engine_that_is_held_is_timed_when_asked_and_checked_at_the_end(
    worker: Worker, workload: Workload
) -> None:
    of = candidate(workload)
    assert worker.hold(of, PLENTY) is None
    assert worker.sample(of, PLENTY) is None
    assert worker.sample(of, PLENTY) is None
    evaluation = worker.release(of, PLENTY)
    assert evaluation.measurement is not None
    assert len(evaluation.measurement.blocks) == 2
    assert evaluation.accuracy is not None
    assert evaluation.candidate == of
    # and the worker is ready for other work
    assert worker.evaluate(of, PLENTY).measurement is not None


def test_with_cold_caches_a_held_engine_is_timed_so_with_each_sample(
    workspace: Workspace, workload: Workload
) -> None:
    asked = msgspec.structs.replace(opening(workspace, workload), policy=replace(QUICK, cold=True))
    of = candidate(workload)
    with Worker(asked, workspace) as worker:
        worker.hold(of, PLENTY)
        for _ in range(2):
            assert worker.sample(of, PLENTY) is None
        measurement = worker.release(of, PLENTY).measurement
    assert measurement is not None
    starts = [[block.started_at for block in some] for some in (measurement.blocks, measurement.cold)]
    warm, cold = starts
    assert warm[0] < cold[0] < warm[1] < cold[1]
    assert (len(warm), len(cold)) == (2, 2)


def test_engine_that_cannot_be_held_is_a_failed_evaluation(worker: Worker, workload: Workload) -> None:
    failed = worker.hold(variant(workload, deed="segfault"), PLENTY)
    assert failed is not None
    assert failed.failure is not None
    assert failed.failure.kind == "crashed"
    assert worker.hold(candidate(workload), PLENTY) is None


def test_a_worker_that_dies_while_it_holds_an_engine_is_a_failed_evaluation(
    worker: Worker, workload: Workload
) -> None:
    of = candidate(workload)
    start = worker.log_position()
    assert worker.hold(of, PLENTY) is None
    os.kill(process_in(worker.log_since(start)), signal.SIGKILL)
    failed = worker.sample(of, PLENTY)
    assert failed is not None
    assert failed.failure is not None
