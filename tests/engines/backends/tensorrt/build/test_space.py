from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.build.space import dimensions
from engines.core.values import Dimension, ShapeRange, Workload
from engines.shapes.plan import single_plan
from tests.engines.backends.tensorrt.fakes import vendor
from tests.workloads import tiny_conv, workload_of


class Clamped:
    """A builder config that takes levels up to 3 only, and of the rest nothing."""

    level = 3

    @property
    def builder_optimization_level(self) -> int:
        return self.level

    @builder_optimization_level.setter
    def builder_optimization_level(self, level: int) -> None:
        self.level = min(level, 3)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(8, 3, 12, 12))


def _space(workload: Workload, concurrent: bool = True, config: object = None) -> dict[str, Dimension]:
    probe: Any = config or SimpleNamespace(get_tactic_sources=lambda: 0)
    found = dimensions(vendor(is_rtx=config is None), probe, None, workload, concurrent)
    return {one.name: one for one in found}


def _with_range(workload: Workload, low: int, high: int) -> Workload:
    (of,) = workload.plan.ranges.values()
    bounds = ShapeRange((low, 3, 12, 12), of.optimum, (high, 3, 12, 12))
    return replace(workload, plan=single_plan({"x": bounds}, workload.plan.batch))


def test_a_range_that_was_given_is_the_only_profile(workload: Workload) -> None:
    assert _space(_with_range(workload, 2, 20))["profile"].choices == ("given",)
    other = _with_range(workload, 2, 20).plan.profiles
    several = replace(workload, plan=replace(workload.plan, profiles=(*workload.plan.profiles, *other)))
    assert _space(several)["profile"].choices == ("given",)


def test_a_model_of_fixed_shapes_has_no_range_to_choose(workload: Workload) -> None:
    (facts,) = workload.model.inputs
    fixed = replace(facts, shape=(8, 3, 12, 12))
    model = replace(workload.model, inputs=(fixed,))
    assert _space(replace(workload, model=model))["profile"].choices == ("static",)


def test_without_a_range_each_batch_is_a_build_of_its_own(workload: Workload) -> None:
    batch = _space(workload)["batch"]
    assert batch.kind == "build"
    assert batch.choices == (1, 2, 4, 8, 16, 32, 64)


def test_batches_inside_a_given_range_share_an_engine(workload: Workload) -> None:
    batch = _space(_with_range(workload, 3, 20))["batch"]
    assert batch.kind == "run"
    assert batch.choices[:3] == (4, 8, 16)
    assert batch.choices[-1] == 20


def test_the_batch_asked_for_is_among_the_choices(tmp_path: Path) -> None:
    odd = workload_of(tiny_conv(tmp_path), x=(100, 3, 12, 12))
    assert _space(odd)["batch"].choices == (1, 2, 4, 8, 16, 32, 64, 100)


def test_for_latency_batch_and_streams_are_given(workload: Workload) -> None:
    space = _space(workload, concurrent=False)
    assert space["batch"].choices == (8,)
    assert space["streams"].choices == (1,)


def test_a_batch_that_the_model_fixes_is_not_searched(workload: Workload) -> None:
    assert _space(replace(workload, batched_inputs=()))["batch"].choices == (8,)


def test_a_choice_that_the_builder_does_not_give_back_is_not_offered(workload: Workload) -> None:
    config = Clamped()
    config.get_tactic_sources = lambda: 0  # type: ignore[attr-defined]
    space = _space(workload, config=config)
    assert space["builder_optimization_level"].choices == (0, 1, 2, 3)
    assert space["builder_optimization_level"].default == 3
    assert "max_num_tactics" not in space


def test_a_level_is_one_of_those_that_there_are(workload: Workload) -> None:
    config = Clamped()
    config.get_tactic_sources = lambda: 0  # type: ignore[attr-defined]
    assert not _space(workload, config=config)["builder_optimization_level"].any_integer
