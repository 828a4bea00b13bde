import numpy as np
import pytest

from benchmarks.search.__main__ import LANDSCAPES
from benchmarks.search.fronts import hypervolume
from benchmarks.search.made_up import made_up
from benchmarks.search.recorded import recorded_world
from benchmarks.search.searches import Until, search
from benchmarks.search.strategies import STRATEGIES, Ours, missing
from benchmarks.search.world import State
from studies.core.records import Objective
from tests.benchmarks.test_search_world import tiny_world

DISTINCT = ("random", "grid", "one-at-a-time", "tpe-distinct", "ours")


@pytest.mark.parametrize("name", DISTINCT)
def test_a_strategy_tries_everything_once(name: str) -> None:
    if missing(name):
        pytest.skip(f"{name} needs {missing(name)}")
    world = tiny_world()
    found = search(world, name, STRATEGIES[name], 0, Until(10, 1e9))
    assert sorted(found.tried) == [0, 1, 2, 3]
    assert found.gaps[-1] == 0.0
    assert found.seconds[-1] == 5.0 + 10.0 + 20.0 + 4 * 1.0
    assert found.engines[-1] == 2


def test_a_search_ends_once_it_is_close_and_long_enough() -> None:
    world = tiny_world()
    found = search(world, "grid", STRATEGIES["grid"], 0, Until(1))
    assert found.tried == (0, 1)
    assert found.close_at() == 1


def test_tpe_may_repeat_itself_and_pays_for_the_run_only() -> None:
    found = search(tiny_world(), "tpe", STRATEGIES["tpe"], 0, Until(12))
    assert len(found.tried) == 12
    assert found.seconds[-1] == 5.0 + 10.0 + 20.0 + 12 * 1.0


def test_the_grid_changes_the_last_dimension_fastest() -> None:
    world = made_up(0)
    keys = [world.key(world.point(index)) for index in world.inside]
    assert keys == sorted(keys)


def test_the_same_seed_searches_alike() -> None:
    world = made_up(1)
    one, again, other = (search(world, "random", STRATEGIES["random"], seed, Until(20)) for seed in (1, 1, 2))
    assert (one.tried, one.gaps, one.seconds) == (again.tried, again.gaps, again.seconds)
    assert one.tried != other.tried


def test_two_objectives_are_searched_for_hypervolume() -> None:
    objectives = [Objective("latency_ms", "minimize"), Objective("error", "minimize")]
    world = made_up(0, objectives)
    found = search(world, "random", STRATEGIES["random"], 0, Until(30))
    assert np.all(np.diff(found.gaps) <= 0)
    assert found.gaps[-1] <= 1


def test_hypervolume_is_the_area_below_the_reference() -> None:
    assert hypervolume([(1.0, 2.0), (2.0, 1.0), (2.5, 2.5)], (3.0, 3.0)) == 3.0
    assert hypervolume([(4.0, 0.0)], (3.0, 3.0)) == 0.0


def test_a_profile_that_is_wrong_in_fp32_is_still_tried_in_16_bits() -> None:
    world = recorded_world(LANDSCAPES / "resnet50-b8-h200.json.gz")
    asked, random, state = Ours(world, 0, advised=False), np.random.default_rng(0), State()

    def is_static(index: int, *precisions: str) -> bool:
        settings = world.places[index].candidate.settings
        return settings["profile"] == "static" and settings["precision"] in precisions

    missing_it = np.flatnonzero(~world.truths.feasible).tolist()
    wrong = [index for index in missing_it if is_static(index, "fp32", "tf32")]
    for known in (0, *wrong[:3]):
        asked.tell(world.try_(known, random, state))
    for _ in range(45):
        index = asked.ask()
        assert index is not None
        if is_static(index, "fp16", "bf16"):
            return
        asked.tell(world.try_(index, random, state))
    pytest.fail("a static profile is ruled out in 16 bits as well")
