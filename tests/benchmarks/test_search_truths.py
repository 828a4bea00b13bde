from dataclasses import replace

import pytest

from benchmarks.search.places import Run, Series
from tests.benchmarks.test_search_world import BLOCKS, tiny_world


def test_gaps_are_to_the_best_that_keeps_the_limits() -> None:
    world = tiny_world()
    assert world.truths.feasible.tolist() == [True, True, True, False]
    assert world.truths.gaps == pytest.approx([100.0, 0.0, 50.0, 100.0])


def test_the_truth_lies_amid_the_runs() -> None:
    world = tiny_world()
    runs = tuple(Run({"latency_ms": Series(value, BLOCKS)}) for value in (1.0, 4.0))
    world = replace(world, places=(replace(world.places[0], runs=runs), *world.places[1:]))
    assert world.truths.values["latency_ms"][0] == pytest.approx(2.0)
