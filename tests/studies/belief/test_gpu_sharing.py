"""Whether something else used the GPU, by many measurements together."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from engines.artifacts.workspace import Workspace
from engines.core.results import Block, Evaluation
from engines.core.values import Candidate, Machine, Workload
from engines.executors.base import Job, evaluate
from studies.belief.gpu_sharing import Contention, contention, measured_in
from studies.run.loop import StudyLoop
from studies.storage.storage import Storage
from tests.records import study_record
from tests.repeats import with_waits
from tests.studies.loops import Here, Notes, in_order, loop_of, run, spec_of

GPU = Machine("gpu", "H200", 132, 1, "Linux")
CPU = Machine("cpu", "EPYC", 2, 1, "Linux")
Waits = Callable[[int], bool]


@pytest.mark.parametrize(
    ("uneven", "even", "found"), [(3, 0, True), (3, 57, True), (3, 58, False), (2, 1, False)]
)
def test_contention_needs_three_uneven_measurements_and_one_in_twenty(
    uneven: int, even: int, found: bool
) -> None:
    expected = Contention(uneven, uneven + even) if found else None
    assert contention(GPU, [True] * uneven + [False] * even) == expected


def test_measurements_without_a_verdict_do_not_count() -> None:
    assert contention(GPU, [None] * 90 + [True] * 3) == Contention(3, 3)
    assert contention(GPU, [None] * 90) is None


def test_no_contention_is_reported_on_a_cpu() -> None:
    assert contention(CPU, [True] * 9) is None


def test_measurements_of_other_studies_do_not_count() -> None:
    trials = study_record(4, failing=0).trials
    shared = [trials[0], replace(trials[1], reused=True), replace(trials[2], same_as=0), trials[3]]
    assert [one for one, _ in measured_in(shared, ())] == [trials[0].candidate, trials[3].candidate]
    assert list(measured_in(study_record(2, failing=1.0).trials[1:], ())) == []


def _measured_anew(found: Evaluation, *, waits: bool) -> Evaluation:
    """With times that are all the same, or beside another process."""
    assert found.measurement is not None
    block = Block(np.ones(10), 0.01, 0.0)
    even = replace(found, measurement=replace(found.measurement, blocks=(block,) * 5))
    return with_waits(even) if waits else even


@pytest.fixture
def loop(storage: Storage, workload: Workload, workspace: Workspace) -> Callable[[Waits], StudyLoop]:
    """Whose measurements are uneven where `waits` says so of their number."""

    def make(waits: Waits) -> StudyLoop:
        machine, asked = Here(workload, workspace), itertools.count()

        def verdict(candidate: Candidate) -> Evaluation:
            found = evaluate(machine, Job(0, candidate, 60.0))
            return _measured_anew(found, waits=waits(next(asked)))

        return in_order(loop_of(storage, spec_of(workload), Here(workload, workspace, verdict)))

    return make


def _said(loop: StudyLoop) -> list[str]:
    assert isinstance(loop.observer, Notes)
    return [note for note in loop.observer.notes if "seems to use the GPU" in note]


def test_a_search_says_once_that_something_else_uses_the_gpu(loop: Callable[[Waits], StudyLoop]) -> None:
    shared = loop(lambda number: True)
    run(shared, 8)
    assert len(_said(shared)) == 1
    assert "in 3 of 3 measurements" in _said(shared)[0]


def test_search_alone_on_the_gpu_gives_no_warning(loop: Callable[[Waits], StudyLoop]) -> None:
    alone = loop(lambda number: number in (2, 5))
    run(alone, 8)
    assert _said(alone) == []


def test_late_contention_is_reported_soon(loop: Callable[[Waits], StudyLoop]) -> None:
    late = loop(lambda number: number >= 80)
    run(late, 84)
    assert len(_said(late)) == 1


def test_contention_of_an_earlier_run_is_not_reported_again(loop: Callable[[Waits], StudyLoop]) -> None:
    run(loop(lambda number: True), 6)
    again = loop(lambda number: False)
    run(again, 9)
    assert _said(again) == []
