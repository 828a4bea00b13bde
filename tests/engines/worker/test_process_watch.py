import time

import pytest

from engines.worker.process import GRAPH_SECONDS, Deadline


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes when the test says so."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_request_has_its_time_from_the_beginning(clock: list[float]) -> None:
    deadline = Deadline(60.0)
    clock[0] += 50.0
    deadline.enter("build", "")
    clock[0] += 9.0
    assert (deadline.seconds_left(), deadline.limit) == (1.0, 60.0)


def test_making_a_graph_does_not_count_but_must_go_on(clock: list[float]) -> None:
    deadline = Deadline(60.0)
    deadline.enter("graph", "")
    clock[0] += 1000.0
    deadline.enter("graph", "calibrating, batch 2")
    assert (deadline.seconds_left(), deadline.limit) == (GRAPH_SECONDS, GRAPH_SECONDS)
    clock[0] += GRAPH_SECONDS - 1
    assert deadline.seconds_left() == 1.0
    deadline.enter("build", "")
    assert (deadline.seconds_left(), deadline.limit) == (60.0, 60.0)


def test_what_was_lost_knows_how_long_each_stage_took(clock: list[float]) -> None:
    deadline = Deadline(60.0)
    deadline.enter("graph", "")
    clock[0] += 5.0
    deadline.enter("build", "")
    clock[0] += 60.0
    lost = deadline.failure("timeout", "still not done")
    assert lost.stage_seconds == {"graph": 5.0, "build": 60.0}
    assert lost.failure.stage == "build"


def test_waiting_for_the_gpu_neither_counts_nor_costs(clock: list[float]) -> None:
    deadline = Deadline(60.0)
    deadline.enter("build", "")
    clock[0] += 10.0
    deadline.enter("wait", "")
    clock[0] += 100_000.0
    assert deadline.seconds_left() > GRAPH_SECONDS
    deadline.enter("load", "")
    assert deadline.seconds_left() == 50.0
    assert deadline.failure("timeout", "still not done").stage_seconds == {"build": 10.0, "load": 0.0}
