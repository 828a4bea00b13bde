from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.build.space import dimensions, profile_shapes
from engines.core.values import Candidate, Dimension, Settings, Shape, ShapeRange, Value, Workload
from tests.engines.backends.tensorrt.fakes import vendor
from tests.workloads import example, tiny_conv, workload_of


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


def _ranges(workload: Workload, **build: Value) -> dict[str, tuple[Shape, Shape, Shape]]:
    shapes = profile_shapes(workload, Candidate(build=Settings(build)))
    return {name: (of.minimum, of.optimum, of.maximum) for name, of in shapes.items()}


def _with_range(workload: Workload, low: int, high: int) -> Workload:
    (of,) = workload.shapes.values()
    bounds = ShapeRange((low, 3, 12, 12), of.optimum, (high, 3, 12, 12))
    return replace(workload, shapes={"x": bounds})


@pytest.mark.parametrize(("profile", "low", "high"), [("static", 8, 8), ("narrow", 4, 16), ("wide", 1, 32)])
def test_only_dynamic_dimensions_have_a_range(workload: Workload, profile: str, low: int, high: int) -> None:
    assert _ranges(workload, profile=profile) == {"x": ((low, 3, 12, 12), (8, 3, 12, 12), (high, 3, 12, 12))}


def test_a_range_starts_at_one_at_least(tmp_path: Path) -> None:
    one = workload_of(tiny_conv(tmp_path), x=(1, 3, 12, 12))
    assert _ranges(one, profile="narrow")["x"][0] == (1, 3, 12, 12)


def test_each_batch_has_a_range_around_it(workload: Workload) -> None:
    assert _ranges(workload, profile="narrow", batch=32)["x"] == (
        (16, 3, 12, 12),
        (32, 3, 12, 12),
        (64, 3, 12, 12),
    )


def test_every_dynamic_dimension_of_every_input_has_its_range(tmp_path: Path) -> None:
    text = example("transformer", tmp_path, input_ids=(2, 16), attention_mask=(2, 16))
    wanted = ((1, 1), (4, 16), (16, 64))
    assert _ranges(text, profile="wide", batch=4) == {"input_ids": wanted, "attention_mask": wanted}


def test_a_range_that_was_given_is_kept_whatever_the_batch(workload: Workload) -> None:
    given = _with_range(workload, 2, 20)
    assert _space(given)["profile"].choices == ("given",)
    assert _ranges(given, profile="given", batch=16)["x"] == ((2, 3, 12, 12), (8, 3, 12, 12), (20, 3, 12, 12))


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
