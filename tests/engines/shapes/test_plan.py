from dataclasses import replace
from pathlib import Path

import pytest

from engines.core.values import (
    Candidate,
    Case,
    InputSource,
    ModelFacts,
    Profile,
    Settings,
    Shape,
    ShapePlan,
    ShapeRange,
    TensorFacts,
    Value,
    Workload,
)
from engines.core.wire import to_plain
from engines.shapes import plan
from engines.shapes.plan import batch_choices, powers_of_two, profile_shapes, single_plan
from tests.workloads import example, file_at, tiny_conv, workload_of

MODEL = ModelFacts(file_at("m.onnx", "0"), (TensorFacts("x", "float32", ("batch", 8)),), (), 17, {}, 0, 0)
SMALL, LARGE = ShapeRange((1, 8), (2, 8), (4, 8)), ShapeRange((8, 8), (16, 8), (32, 8))
MIXED = ShapePlan(
    (Profile({"x": SMALL}), Profile({"x": LARGE})),
    (Case({"x": (2, 8)}, 2, weight=0.75), Case({"x": (16, 8)}, 16, weight=0.25)),
)


def _workload(minimum: int, optimum: int, maximum: int) -> Workload:
    shapes = {"x": ShapeRange((minimum, 8), (optimum, 8), (maximum, 8))}
    return Workload(MODEL, single_plan(shapes, optimum), ("x",), InputSource())


@pytest.fixture
def images(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(8, 3, 12, 12))


def _ranges(workload: Workload, **build: Value) -> dict[str, tuple[Shape, Shape, Shape]]:
    (shapes,) = profile_shapes(workload, Candidate(build=Settings(build)))
    return {name: (of.minimum, of.optimum, of.maximum) for name, of in shapes.items()}


@pytest.mark.parametrize(
    ("given", "choices"),
    [
        ((8, 8, 8), (1, 2, 4, 8, 16)),
        ((6, 6, 6), (1, 2, 4, 6, 8, 16)),
        ((64, 64, 64), (1, 2, 4, 8, 16, 32, 64)),
        ((2, 4, 10), (2, 4, 8, 10)),
        ((3, 5, 9), (4, 5, 8, 9)),
    ],
)
def test_batches_are_powers_of_two_inside_the_range_its_end_and_the_one_asked_for(
    given: tuple[int, int, int], choices: tuple[int, ...]
) -> None:
    assert batch_choices(_workload(*given), 16) == choices


def test_a_model_with_a_fixed_batch_has_no_other() -> None:
    assert batch_choices(replace(_workload(4, 4, 4), batched_inputs=()), 16) == (4,)


def test_cases_have_batches_of_their_own_that_no_candidate_changes() -> None:
    mixed = replace(_workload(4, 4, 4), plan=MIXED)
    asked = Candidate(run=Settings(batch=64))
    assert batch_choices(mixed, 16) == (2,)
    assert [plan.asked_batch(MIXED, asked, case) for case in (0, 1)] == [2, 16]
    assert plan.asked_batch(_workload(4, 4, 4).plan, asked) == 64


def test_powers_of_two_end_with_the_largest() -> None:
    assert powers_of_two(1) == (1,)
    assert powers_of_two(6) == (1, 2, 4, 6)


@pytest.mark.parametrize(("profile", "low", "high"), [("static", 8, 8), ("narrow", 4, 16), ("wide", 1, 32)])
def test_only_dynamic_dimensions_have_a_range(images: Workload, profile: str, low: int, high: int) -> None:
    assert _ranges(images, profile=profile) == {"x": ((low, 3, 12, 12), (8, 3, 12, 12), (high, 3, 12, 12))}


def test_a_range_starts_at_one_at_least(tmp_path: Path) -> None:
    one = workload_of(tiny_conv(tmp_path), x=(1, 3, 12, 12))
    assert _ranges(one, profile="narrow")["x"][0] == (1, 3, 12, 12)


def test_each_batch_has_a_range_around_it(images: Workload) -> None:
    assert _ranges(images, profile="narrow", batch=32)["x"] == (
        (16, 3, 12, 12),
        (32, 3, 12, 12),
        (64, 3, 12, 12),
    )


def test_every_dynamic_dimension_of_every_input_has_its_range(tmp_path: Path) -> None:
    text = example("transformer", tmp_path, input_ids=(2, 16), attention_mask=(2, 16))
    wanted = ((1, 1), (4, 16), (16, 64))
    assert _ranges(text, profile="wide", batch=4) == {"input_ids": wanted, "attention_mask": wanted}


def test_a_range_that_was_given_is_kept_whatever_the_batch() -> None:
    given = _workload(2, 8, 20)
    assert _ranges(given, profile="given", batch=16)["x"] == ((2, 8), (8, 8), (20, 8))


def test_an_engine_has_every_profile_of_the_plan() -> None:
    mixed = replace(_workload(4, 4, 4), plan=MIXED)
    asked = Candidate(build=Settings(profile="given", batch=64))
    assert profile_shapes(mixed, asked) == ({"x": SMALL}, {"x": LARGE})
    static = replace(asked, build=Settings(profile="static", batch=64))
    assert [of["x"].minimum for of in profile_shapes(mixed, static)] == [(2, 8), (16, 8)]


def test_the_ranges_of_a_plan_are_those_of_all_profiles() -> None:
    assert MIXED.ranges == {"x": ShapeRange((1, 8), (2, 8), (32, 8))}


def test_a_plan_without_profile_or_case_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one profile and one case"):
        ShapePlan((), MIXED.cases)
    with pytest.raises(ValueError, match="at least one profile and one case"):
        ShapePlan(MIXED.profiles, ())


def test_a_single_plan_is_named_by_ranges_and_batch_and_others_by_all_that_they_are() -> None:
    single = _workload(1, 2, 4).plan
    assert to_plain(plan.identity(single)) == [
        {"x": {"minimum": (1, 8), "optimum": (2, 8), "maximum": (4, 8)}},
        2,
    ]
    others = [
        MIXED,
        replace(MIXED, cases=MIXED.cases[:1]),
        replace(single, cases=(replace(single.cases[0], weight=2.0),)),
        replace(single, cases=(Case({"x": (4, 8)}, 4),)),
        replace(single, cases=single.cases * 2),
    ]
    names = {str(to_plain(plan.identity(one))) for one in (single, *others)}
    assert len(names) == 1 + len(others)


def test_a_case_has_its_shapes_at_the_batch_asked_for() -> None:
    mixed = replace(_workload(4, 4, 4), plan=MIXED)
    assert plan.case_shapes(mixed, case=1) == {"x": (16, 8)}
    assert plan.case_shapes(mixed, 3) == {"x": (3, 8)}
    assert plan.case_shapes(replace(mixed, batched_inputs=()), 3) == {"x": (2, 8)}
    assert plan.case_shapes(plan.at_batch(mixed, 5), case=1) == {"x": (5, 8)}
