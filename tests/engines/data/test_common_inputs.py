"""Inputs that two models or engines both take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.values import ModelFacts, Shape, ShapeRange, TensorFacts, Tensors
from engines.data.common_inputs import Taker, as_taken, common_model, same_inputs
from tests.workloads import file_at


def facts(*inputs: TensorFacts, **limits: int) -> ModelFacts:
    return ModelFacts(file_at("m", ""), inputs, (), 17, {}, 0, 0, limits)


def taker(shape: tuple[int | str | None, ...], dtype: str = "float32", **more: Any) -> Taker:
    return Taker("one", facts(TensorFacts("x", dtype, shape)), **more)


def shapes(*takers: Taker, **asked: Shape) -> Mapping[str, Shape]:
    return same_inputs(takers, asked, None).shapes


def test_a_dimension_that_one_fixes_is_fixed_for_both() -> None:
    assert shapes(taker(("batch", 3)), taker((4, None))) == {"x": (4, 3)}
    assert shapes(taker((4, "n")), taker(("batch", 3))) == {"x": (4, 3)}


def test_shapes_are_those_asked_for_then_those_preferred_by_the_first_that_prefers() -> None:
    plain, eight, two = (
        taker(("batch", 3)),
        taker(("batch", 3), preferred={"x": (8, 3)}),
        taker(("batch", 3), preferred={"x": (2, 3)}),
    )
    assert shapes(plain, eight) == {"x": (8, 3)}
    assert shapes(two, eight) == {"x": (2, 3)}
    assert shapes(two, eight, x=(5, 3)) == {"x": (5, 3)}
    assert shapes(two, eight, **{"": (5, 3)}) == {"x": (5, 3)}


def test_a_fixed_dimension_goes_before_a_preferred_one() -> None:
    assert shapes(taker((1, 3)), taker(("batch", 3), preferred={"x": (8, 3)})) == {"x": (1, 3)}


def test_the_inputs_are_random_without_a_file_and_cut_from_one_with(tmp_path: Path) -> None:
    first = same_inputs([taker(("batch", 3))], {}, None).batches
    assert len(first) > 1
    assert np.array_equal(first[0]["x"], same_inputs([taker(("batch", 3))], {}, None).batches[0]["x"])
    np.savez(tmp_path / "x.npz", x=np.arange(9, dtype=np.float32).reshape(3, 3))
    found = same_inputs([taker(("batch", 3))], {"x": (2, 3)}, tmp_path / "x.npz").batches
    assert [batch["x"][:, 0].tolist() for batch in found] == [[0, 3], [6, 0]]


def test_indices_stay_inside_the_smaller_table() -> None:
    big = Taker("big", facts(TensorFacts("i", "int64", (100,)), i=50))
    small = Taker("small", facts(TensorFacts("i", "int32", (100,)), i=5))
    plan = Taker("plan", facts(TensorFacts("i", "int32", (100,))))
    assert common_model([big, small, plan]).index_limits == {"i": 5}
    assert max(batch["i"].max() for batch in same_inputs([plan, small], {}, None).batches) == 4


def test_each_gets_its_own_type() -> None:
    whole: list[Tensors] = [{"x": np.array([1.0, 1e6], np.float32)}]
    assert as_taken(whole, taker((2,)).model)[0]["x"] is whole[0]["x"]
    halves = as_taken(whole, taker((2,), "float16").model)[0]["x"]
    assert halves.dtype == np.float16
    assert np.isinf(halves[1])


def test_an_index_that_is_too_large_for_the_type_is_refused() -> None:
    model = facts(TensorFacts("i", "int32", (1,)))
    with pytest.raises(UserError, match="values that int32 cannot hold"):
        as_taken([{"i": np.array([2**40])}], model)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (taker((4, 4)), "the input 'x' is 4x3 for one, and 4x4 for one"),
        (taker((4, 3, 1)), "the input 'x' is 4x3 for one, and 4x3x1 for one"),
        (taker((4, 3), "int64"), "is float32 for one, and int64 for one"),
        (taker((4, 3), "bool"), "is float32 for one, and bool for one"),
        (Taker("two", facts(TensorFacts("y", "float32", (1,)))), "one takes x:4x3, and two takes y:1"),
    ],
)
def test_different_inputs_are_refused(other: Taker, said: str) -> None:
    with pytest.raises(UserError, match=said):
        shapes(taker((4, 3)), other)


def test_a_shape_beyond_an_engines_limits_is_refused() -> None:
    limited = taker(("batch", 3), limits={"x": ShapeRange((1, 3), (2, 3), (4, 3))})
    with pytest.raises(UserError, match="one takes 'x' from 1x3 to 4x3, not 8x3"):
        shapes(taker(("batch", 3)), limited, x=(8, 3))
