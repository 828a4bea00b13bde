from dataclasses import replace

import pytest

from engines.core.values import InputSource, ModelFacts, ShapeRange, TensorFacts, Workload
from engines.shapes.plan import batch_choices, powers_of_two

MODEL = ModelFacts("m.onnx", "0", (TensorFacts("x", "float32", ("batch", 8)),), (), 17, {}, 0, 0)


def _workload(minimum: int, optimum: int, maximum: int) -> Workload:
    shapes = {"x": ShapeRange((minimum, 8), (optimum, 8), (maximum, 8))}
    return Workload(MODEL, shapes, optimum, ("x",), InputSource())


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


def test_powers_of_two_end_with_the_largest() -> None:
    assert powers_of_two(1) == (1,)
    assert powers_of_two(6) == (1, 2, 4, 6)
