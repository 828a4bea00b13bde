"""Whether something else used the GPU, by many measurements together."""

import pytest

from engines.values import Machine, Settings, Workload
from engines.workspace import Workspace
from studies.neighbours import Neighbours, neighbours
from studies.storage import Storage
from tests.studies.owners import Here, Notes, owner_of, run, spec_of

GPU = Machine("gpu", "H200", 132, 1, "Linux")
CPU = Machine("cpu", "EPYC", 2, 1, "Linux")


@pytest.mark.parametrize(
    ("uneven", "even", "found"), [(3, 0, True), (3, 27, True), (3, 28, False), (2, 1, False)]
)
def test_three_and_one_in_ten_are_more_than_chance(uneven: int, even: int, found: bool) -> None:
    expected = Neighbours(uneven, uneven + even) if found else None
    assert neighbours(GPU, [True] * uneven + [False] * even) == expected


def test_measurements_that_cannot_tell_do_not_count() -> None:
    assert neighbours(GPU, [None] * 60 + [True] * 3) == Neighbours(3, 3)
    assert neighbours(GPU, [None] * 60) is None


def test_on_a_cpu_others_are_found_by_the_wait_for_a_core_instead() -> None:
    assert neighbours(CPU, [True] * 9) is None


@pytest.mark.parametrize("waiting", [0.0, 0.3])
def test_a_search_says_once_that_something_else_uses_the_gpu(
    storage: Storage, workload: Workload, workspace: Workspace, waiting: float
) -> None:
    executor = Here(workload, workspace, options=Settings(waiting=waiting))
    owner = owner_of(storage, spec_of(workload, {"streams": ["1"]}), executor)
    run(owner, 8)
    assert isinstance(owner.observer, Notes)
    said = [note for note in owner.observer.notes if "seems to use the GPU" in note]
    assert len(said) == (1 if waiting else 0)
    assert len(owner.observer.records) == 8
