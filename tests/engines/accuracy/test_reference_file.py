from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.accuracy.reference_file import check_expected, read_reference
from engines.artifacts.workspace import Workspace
from engines.backends.fake.backend import Fake
from engines.core.errors import UserError
from engines.core.values import Settings, TensorFacts, Workload
from engines.data.inputs import check_inputs_file, make_inputs
from engines.trials.session import Session
from tests.workloads import QUICK, tiny_conv, workload_of

RIGHT = np.arange(25, dtype=np.float32).reshape(5, 5)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    """Five samples in batches of two."""
    workload = workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))
    np.savez(tmp_path / "data.npz", x=np.ones((5, 3, 12, 12), np.float32))
    source = check_inputs_file(
        workload.model, workload.plan.ranges, workload.batched_inputs, tmp_path / "data.npz"
    )
    return replace(workload, inputs=source)


def _fixed(workload: Workload, sets: int, shape: tuple[int | str | None, ...]) -> Workload:
    """The same with a batch of two that the model fixes, and so many sets of inputs."""
    inputs = (TensorFacts("x", "float32", (2, 3, 12, 12)),)
    outputs = (TensorFacts("y", "float32", shape),)
    assert workload.inputs.file is not None
    path = workload.inputs.file.path
    np.savez(path, x=np.ones((2 * sets, 3, 12, 12), np.float32))
    model = replace(workload.model, inputs=inputs, outputs=outputs)
    return replace(workload, model=model, batched_inputs=())


def _saved(folder: Path, **arrays: np.ndarray) -> Path:
    np.savez(folder / "right.npz", **arrays)  # type: ignore[arg-type]
    return folder / "right.npz"


def test_right_outputs_are_cut_and_filled_up_as_the_inputs_are(workload: Workload, tmp_path: Path) -> None:
    expected = check_expected(workload, _saved(tmp_path, y=RIGHT))
    assert expected.digest
    workload = replace(workload, expected=expected)
    for batch in (1, 2, 3, 8):
        count = len(make_inputs(workload, batch))
        found = np.concatenate([one["y"] for one in read_reference(workload, batch, count)])
        np.testing.assert_array_equal(found, np.resize(RIGHT, (batch * count, 5)))


@pytest.mark.parametrize(
    ("sets", "dims", "shape"),
    [
        (1, (2, 5), (2, 5)),
        (3, (2, 5), (6, 5)),
        (3, (2, 5), (3, 2, 5)),
        (3, (), (3,)),
        (1, (2, None), (1, 2, 5)),
    ],
)
def test_a_model_of_fixed_batch_takes_a_set_of_outputs_for_each_of_inputs(
    workload: Workload, tmp_path: Path, sets: int, dims: tuple[int | None, ...], shape: tuple[int, ...]
) -> None:
    fixed = _fixed(workload, sets, dims)
    right = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    fixed = replace(fixed, expected=check_expected(fixed, _saved(tmp_path, y=right)))
    found = read_reference(fixed, 2, sets)
    assert len(found) == sets
    np.testing.assert_array_equal(np.concatenate([one["y"].ravel() for one in found]), right.ravel())
    assert {one["y"].ndim for one in found} == {len(dims)} if dims else {0}


def test_model_is_not_run_if_the_user_gives_the_reference(workload: Workload, tmp_path: Path) -> None:
    class Idle(Fake):
        def reference(self, *_: object) -> list[dict[str, np.ndarray]]:
            raise AssertionError("the model was run")

    workload = replace(workload, expected=check_expected(workload, _saved(tmp_path, y=RIGHT)))
    session = Session(Idle(Settings(), tmp_path), workload, Workspace(tmp_path / "w").create(), QUICK)
    np.testing.assert_array_equal(session.reference(2).outputs[2]["y"], RIGHT[[4, 0]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": RIGHT}, "has no array for the output 'y'"),
        ({"y": RIGHT, "z": RIGHT}, "the model has no output 'z'"),
        ({"y": RIGHT[:4]}, "the array for the output 'y' is 4x5, not 5x5"),
        ({"y": RIGHT[:, :4]}, "the array for the output 'y' is 5x4, not 5x5"),
        ({"y": RIGHT[:, 0]}, "the array for the output 'y' is 5, not 5x5"),
        ({"y": RIGHT.astype(np.float64)}, "is float64, and the model takes float32"),
        ({"y": np.where(RIGHT == 3, np.nan, RIGHT).astype(np.float32)}, "1 values that are NaN or infinite"),
    ],
)
def test_unusable_reference_is_refused(
    workload: Workload, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_expected(workload, _saved(tmp_path, **arrays))
    assert message in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_right_outputs_need_inputs(workload: Workload, tmp_path: Path) -> None:
    alone = replace(workload, inputs=replace(workload.inputs, file=None))
    with pytest.raises(UserError, match="--reference needs --inputs"):
        check_expected(alone, _saved(tmp_path, y=RIGHT))


def test_an_output_without_an_axis_of_samples_cannot_be_given(workload: Workload, tmp_path: Path) -> None:
    outputs = (TensorFacts("y", "float32", (1, 5)),)
    single = replace(workload, model=replace(workload.model, outputs=outputs))
    with pytest.raises(UserError, match="'y' has no axis of samples"):
        check_expected(single, _saved(tmp_path, y=RIGHT))
