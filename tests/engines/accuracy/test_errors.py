import ml_dtypes
import numpy as np
import pytest

from engines.accuracy.errors import PIECE, compare, over_batches, worst
from engines.core.errors import EngineError
from engines.core.results import OutputError

RIGHT = np.array([[3.0, 4.0]], dtype=np.float32)


def test_equal_outputs_have_no_error() -> None:
    (error,) = compare({"y": RIGHT}, {"y": RIGHT.copy()})
    assert (error.relative_l2, error.max_abs, error.mean_abs, error.top1) == (0.0, 0.0, 0.0, 1.0)
    assert error.cosine == pytest.approx(1.0)


def test_the_error_is_relative_to_the_references_norm() -> None:
    (error,) = compare({"y": RIGHT}, {"y": RIGHT + np.array([[0.5, 0.0]], dtype=np.float32)})
    assert error.relative_l2 == pytest.approx(0.1)
    assert error.max_abs == pytest.approx(0.5)
    assert error.mean_abs == pytest.approx(0.25)
    assert error.snr_db == pytest.approx(20.0)


def test_a_reference_of_zeros_has_the_distance_as_its_error() -> None:
    zeros = np.zeros(4, dtype=np.float32)
    (error,) = compare({"y": zeros}, {"y": zeros + np.float32(0.25)})
    assert error.relative_l2 == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_fail(bad: float) -> None:
    with pytest.raises(EngineError, match="1 NaN or infinite") as caught:
        compare({"y": RIGHT}, {"y": np.array([[3.0, bad]], dtype=np.float32)})
    assert caught.value.kind == "not_finite"


def test_infinity_where_the_reference_has_it_is_right_and_elsewhere_not() -> None:
    masked = np.array([1.0, -np.inf], dtype=np.float32)
    assert compare({"y": masked}, {"y": masked.copy()})[0].relative_l2 == 0.0
    with pytest.raises(EngineError, match="differs where"):
        compare({"y": masked}, {"y": np.array([1.0, 0.0], dtype=np.float32)})


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ({}, "no output 'y'"),
        ({"y": RIGHT[:, :1]}, "shape"),
        ({"y": RIGHT.astype(np.float64)}, "type float64, not float32"),
    ],
)
def test_another_name_shape_or_type_fails(actual: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        compare({"y": RIGHT}, actual)
    assert caught.value.kind == "wrong_output"


def test_integers_and_booleans_are_compared_as_numbers() -> None:
    (error,) = compare({"y": np.array([True, False])}, {"y": np.array([True, True])})
    assert (error.relative_l2, error.max_abs, error.mean_abs, error.top1) == (1.0, 1.0, 0.5, None)
    (error,) = compare({"y": np.array([3, 4])}, {"y": np.array([3, 4])})
    assert error.relative_l2 == 0.0


def test_small_floats_are_compared_in_double_precision() -> None:
    right = np.array([1.0, 2.0], dtype=ml_dtypes.bfloat16)
    assert compare({"y": right}, {"y": right.copy()})[0].relative_l2 == 0.0


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_large_outputs_are_compared_to_the_last_value(kind: type[np.generic]) -> None:
    random = np.random.default_rng(0)
    right, actual = (random.normal(0, 100, 2 * PIECE + 7).astype(kind) for _ in range(2))
    actual[-1] = right[-1] + 1000
    (error,) = compare({"y": right}, {"y": actual})
    given, found = right.astype(np.float64), actual.astype(np.float64)
    lengths = np.linalg.norm(given), np.linalg.norm(found)
    assert error.relative_l2 == pytest.approx(np.linalg.norm(found - given) / lengths[0])
    assert error.max_abs == pytest.approx(1000)
    assert error.mean_abs == pytest.approx(np.abs(found - given).mean())
    assert error.cosine == pytest.approx(given @ found / (lengths[0] * lengths[1]))


def test_every_value_of_a_large_output_that_is_not_finite_is_counted() -> None:
    right = np.zeros(3 * PIECE, np.float32)
    actual = right.copy()
    actual[[1, PIECE + 1, -1]] = np.nan, np.inf, -np.inf
    with pytest.raises(EngineError, match="has 3 NaN or infinite values"):
        compare({"y": right}, {"y": actual})


def test_values_where_the_reference_is_infinite_are_left_out_of_the_error() -> None:
    right, actual = np.array([np.inf, 3.0, np.nan, 4.0]), np.array([np.inf, 3.0, np.nan, 5.0])
    (error,) = compare({"y": right}, {"y": actual})
    assert (error.relative_l2, error.max_abs, error.mean_abs) == (0.2, 1.0, 0.5)


def test_strings_count_the_share_that_differs() -> None:
    right = np.array(["a", "b"], dtype=object)
    assert compare({"y": right}, {"y": np.array(["a", "c"], dtype=object)})[0].relative_l2 == 0.5


@pytest.mark.parametrize(
    ("right", "actual"), [([1.0], [1e300]), ([1e300, 1e300], [1e300, -1e300]), ([1e300, 1e300], [0.0, 0.0])]
)
def test_values_beyond_the_range_of_the_norm_fail(right: list[float], actual: list[float]) -> None:
    with pytest.raises(EngineError, match="too large") as caught:
        compare({"y": np.array(right)}, {"y": np.array(actual)})
    assert caught.value.kind == "not_finite"


def test_an_empty_output_has_no_error() -> None:
    empty = np.zeros((0, 3), dtype=np.float32)
    assert compare({"y": empty}, {"y": empty})[0] == OutputError("y", 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("right", "actual", "cosine"),
    [
        ([1.0, 0.0], [0.0, 2.0], 0.0),
        ([1.0, 0.0], [-3.0, 0.0], -1.0),
        ([0.0, 0.0], [0.0, 0.0], 1.0),
        ([0.0, 0.0], [1.0, 0.0], 0.0),
        ([1.0, 0.0], [0.0, 0.0], 0.0),
        ([1e-300, 1e-300], [1e-300, 1e-300], 1.0),
    ],
)
def test_the_cosine_is_that_of_the_angle_between_the_two(
    right: list[float], actual: list[float], cosine: float
) -> None:
    (error,) = compare({"y": np.array(right)}, {"y": np.array(actual)})
    assert error.cosine == pytest.approx(cosine)


def test_agreement_is_the_share_of_rows_whose_highest_score_is_in_the_same_place() -> None:
    right = np.array([[1, 2, 0], [5, 1, 0], [0, 0, 1], [0, 3, 3]], np.float32)
    actual = np.array([[1, 3, 0], [1, 5, 0], [0, 0, 9], [0, 2, 3]], np.float32)
    # the last row's two highest are a tie, and either is right
    assert compare({"y": right}, {"y": actual})[0].top1 == 0.75


def test_masked_class_counts_as_agreement() -> None:
    right = np.array([[-np.inf, 2.0, 1.0]], np.float32)
    assert compare({"y": right}, {"y": right.copy()})[0].top1 == 1.0


@pytest.mark.parametrize("shape", [(6,), (6, 1), (2, 3, 2), (0, 3)])
def test_an_output_that_ranks_nothing_has_no_agreement(shape: tuple[int, ...]) -> None:
    values = np.ones(shape, np.float32)
    assert compare({"y": values}, {"y": values})[0].top1 is None


def test_the_worst_of_each_output_counts() -> None:
    accuracy = worst(
        [
            (OutputError("y", 0.1, 3.0, 0.5, 0.99, 1.0), OutputError("z", 0.0, 0.0)),
            (OutputError("y", 0.2, 1.0, 0.1, 0.95, 0.5), OutputError("z", 0.0, 0.0)),
        ],
        samples=8,
    )
    assert accuracy.outputs == (OutputError("y", 0.2, 3.0, 0.5, 0.95, 0.5), OutputError("z", 0.0, 0.0))
    assert (accuracy.error, accuracy.max_abs_error, accuracy.samples) == (0.2, 3.0, 8)


def test_over_batches_the_share_of_agreeing_rows_is_that_of_all() -> None:
    batches = [(OutputError("y", 0.1, 1.0, top1=share),) for share in (1.0, 1.0, 0.0, 1.0)]
    assert over_batches(batches) == (OutputError("y", 0.1, 1.0, top1=0.75),)
    assert over_batches([(OutputError("y", 0.1, 1.0),)]) == (OutputError("y", 0.1, 1.0),)
