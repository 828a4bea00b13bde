import argparse

from benchmarks.search.__main__ import LANDSCAPES, _strategies
from benchmarks.search.earlier import earlier_of
from benchmarks.search.recorded import recorded_world

WORLDS = [
    recorded_world(LANDSCAPES / f"{name}-h200.json.gz")
    for name in ("resnet50-b1", "resnet50-b8", "resnet50-throughput", "bert-b1")
]


def test_earlier_studies_of_a_model_are_of_its_other_shapes_for_a_like_objective() -> None:
    (found,) = earlier_of(WORLDS[0], WORLDS, of_the_same_model=True)
    assert found.name == "resnet50-b8-h200"
    assert found.observations[0].candidate == WORLDS[0].places[0].candidate
    assert earlier_of(WORLDS[3], WORLDS, of_the_same_model=True) == ()


def test_models_of_another_family_tell_nothing() -> None:
    assert all(earlier_of(world, WORLDS, of_the_same_model=False) == () for world in WORLDS)


def test_no_strategy_takes_part_twice() -> None:
    arguments = argparse.Namespace(strategies="ours,ours-earlier,ours", pareto=False, earlier="shapes")
    assert _strategies(arguments) == ["ours", "ours-earlier"]
