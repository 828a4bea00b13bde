"""Tensors of two things that were run on the same inputs."""

import numpy as np
import pytest

from engines.accuracy.compare import compare_outputs, compare_tensor, joined, worst
from engines.core.values import Tensors


def floats(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_the_worst_batch_counts() -> None:
    right: list[Tensors] = [{"y": floats(1, 0)}, {"y": floats(0, 1)}]
    off: list[Tensors] = [{"y": floats(1, 0)}, {"y": floats(0, 1.5)}]
    (output,) = compare_outputs(right, off).outputs
    assert output.error is not None
    assert output.error.relative_l2 == pytest.approx(0.5)
    assert output.is_beyond(0.4)
    assert not output.is_beyond(0.5)


def test_outputs_that_one_has_alone_are_named() -> None:
    found = compare_outputs([{"y": floats(1), "aux": floats(1)}], [{"z": floats(1), "y": floats(1)}])
    assert [output.name for output in found.outputs] == ["y"]
    assert (found.only_first, found.only_second) == (("aux",), ("z",))
    assert not found.is_beyond(0.0)


def test_numbers_of_different_types_are_compared_as_numbers() -> None:
    found = compare_tensor("y", floats(1, 2), np.array([1, 2], np.float16))
    assert found.dtypes == ("float32", "float16")
    assert found.error is not None
    assert found.error.relative_l2 == 0


@pytest.mark.parametrize(
    ("other", "said"),
    [(floats(1, 2, 3), "has shape (3,), not (2,)"), (floats(1, np.nan), "1 NaN or infinite values")],
)
def test_incomparable_tensor_exceeds_every_limit(
    other: np.ndarray[tuple[int, ...], np.dtype[np.float32]], said: str
) -> None:
    found = compare_tensor("y", floats(1, 2), other)
    assert found.error is None
    assert said in found.problem
    assert found.is_beyond(1e9)


def test_a_batch_that_cannot_be_compared_is_the_worst() -> None:
    good, bad = compare_tensor("y", floats(1), floats(1)), compare_tensor("y", floats(1), floats(np.inf))
    assert worst([good, bad, good]) is bad


def test_the_share_of_rows_that_agree_is_over_all_batches() -> None:
    same = compare_tensor("y", floats(1, 0)[None], floats(1, 0)[None])
    other = compare_tensor("y", floats(1, 0)[None], floats(0, 1)[None])
    found = worst([same, same, same, other])
    assert found.error is not None
    assert found.error.top1 == 0.75


def test_batches_are_joined_to_as_many_rows_as_there_are() -> None:
    batches: list[Tensors] = [{"y": floats(1, 2)}, {"y": floats(3, 1)}]
    assert joined(batches, {"y": floats(0, 0, 0)})["y"].tolist() == [1, 2, 3]
    assert joined(batches, {"y": floats(0, 0, 0, 0)})["y"].tolist() == [1, 2, 3, 1]
    # not another number of samples: that is for the comparison to say
    assert joined(batches, {"y": floats(0)})["y"].tolist() == [1, 2, 3, 1]


def test_outputs_of_each_batch_may_lie_along_one_more_axis() -> None:
    batches: list[Tensors] = [{"y": floats(1, 2), "s": floats(5)[0]}, {"y": floats(3, 4), "s": floats(6)[0]}]
    found = joined(batches, {"y": np.zeros((2, 2)), "s": floats(0, 0)})
    assert found["y"].tolist() == [[1, 2], [3, 4]]
    assert found["s"].tolist() == [5, 6]
