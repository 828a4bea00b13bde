import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.search.made_up import made_up
from benchmarks.search.places import Place, Run, Series
from benchmarks.search.world import State, World, is_feasible
from engines.core.values import Dimension
from studies.core import space as spaces
from studies.core.records import Constraint, Objective

BLOCKS = np.array([-0.01, 0.0, 0.01])


def tiny_world() -> World:
    """Two engines run in two ways; what is fastest misses the limit of errors."""
    space = (
        Dimension("level", "build", (1, 2), 1, ""),
        Dimension("graph", "run", (False, True), False, ""),
    )
    latencies = {(1, False): 4.0, (1, True): 2.0, (2, False): 3.0, (2, True): 1.0}
    places = []
    for (level, graph), value in latencies.items():
        candidate = spaces.candidate_at(space, {"level": level, "graph": graph})
        metrics = {
            "latency_ms": Series(value, BLOCKS),
            "error": Series(0.1 if (level, graph) == (2, True) else 0.001),
        }
        places.append(Place(candidate, 0, level - 1, (Run(metrics, None, {"measure": 1.0}),)))
    objective, limit = Objective("latency_ms", "minimize"), Constraint("error", "<=", 0.01)
    return World("tiny", space, (objective,), (limit,), tuple(places), [5.0], [10.0, 20.0])


def test_a_graph_and_an_engine_cost_their_seconds_once_in_a_search() -> None:
    world, state, random = tiny_world(), State(), np.random.default_rng(0)
    seconds = [world.try_(index, random, state).seconds for index in (0, 1, 2, 0)]
    assert seconds == [
        {"graph": 5.0, "build": 10.0, "measure": 1.0},
        {"measure": 1.0},
        {"build": 20.0, "measure": 1.0},
        {"measure": 1.0},
    ]
    assert state.seconds == 39.0
    assert world.try_(0, random, State()).seconds["build"] == 10.0


def test_what_cannot_be_built_is_tried_to_build_once() -> None:
    world, state = tiny_world(), State()
    broken = [replace(one, runs=(Run(failed="build"),)) for one in world.places[2:]]
    world = replace(world, places=(*world.places[:2], *broken))
    found = [world.try_(index, np.random.default_rng(0), state) for index in (2, 3)]
    assert [one.failed for one in found] == ["build", "build"]
    assert [one.seconds for one in found] == [{"graph": 5.0, "build": 20.0}, {}]
    assert not is_feasible(found[0])


def test_a_measurement_is_drawn_anew_around_its_run() -> None:
    world, random = tiny_world(), np.random.default_rng(0)
    values = [world.try_(1, random, State()).values for _ in range(200)]
    levels = [math.log(one[0] / 2.0) for one in values if one]
    assert np.mean(levels) == pytest.approx(0.0, abs=0.002)
    assert np.std(levels) == pytest.approx(BLOCKS.std() / math.sqrt(3), rel=0.2)


def test_what_was_not_recorded_is_the_nearest_that_was() -> None:
    world = tiny_world()
    world = replace(world, places=world.places[:3])
    assert not world.is_whole
    assert world.index_of({"level": 2, "graph": True}) is None
    found = {world.nearest({"level": 2, "graph": True}, np.random.default_rng(seed)) for seed in range(20)}
    assert found == {1, 2}


def test_made_up_worlds_are_drawn_from_their_seed() -> None:
    one, again, other = made_up(3), made_up(3), made_up(4)
    assert one.truths.gaps.tolist() == again.truths.gaps.tolist()
    assert one.truths.gaps.tolist() != other.truths.gaps.tolist()
    assert 0 < one.truths.feasible.sum() < len(one.places)
