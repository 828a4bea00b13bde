import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.values import InputSource, ModelFacts, TensorFacts, Workload
from engines.data import calibration
from engines.data.calibration import (
    CALIBRATION_SEEDS,
    MOST_SAMPLES,
    calibration_batches,
    calibration_identity,
    check_calibration,
    parse_calibration,
)
from engines.data.inputs import RANDOM_BATCHES, check_inputs_file
from engines.data.user_functions import load_function
from engines.shapes.plan import at_batch, single_plan
from engines.shapes.resolve import batch_of, resolve
from tests.workloads import file_at, tiny_conv, workload_of

IMAGES = np.random.default_rng(1).normal(size=(5, 3, 12, 12)).astype(np.float32)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    load_function.cache_clear()
    yield
    load_function.cache_clear()
    sys.modules.pop("task", None)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    """Batches of two."""
    return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))


def _two_inputs(*, fixed: bool = False) -> Workload:
    batch: int | str = 2 if fixed else "batch"
    inputs = (TensorFacts("ids", "int64", (batch, 4)), TensorFacts("scale", "float32", (3,)))
    model = ModelFacts(file_at("m.onnx", "0"), inputs, (), 17, {}, 0, 0, {"ids": 10})
    shapes, _ = resolve(model, {"ids": (2, 4)})
    batch, batched = batch_of(model, shapes)
    return Workload(model, single_plan(shapes, batch), batched, InputSource())


def _parse(text: object, workload: Workload, folder: Path) -> InputSource:
    return parse_calibration(str(text), workload.model, workload.plan.ranges, workload.batched_inputs, folder)


def _with(text: object, workload: Workload, folder: Path) -> Workload:
    return replace(workload, calibration=_parse(text, workload, folder))


def _joined(workload: Workload) -> np.ndarray:
    batches = list(calibration_batches(workload))
    assert {batch["x"].shape for batch in batches} == {(2, 3, 12, 12)}
    return np.concatenate([batch["x"] for batch in batches])


def _refusal(text: object, workload: Workload, folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        check_calibration(_with(text, workload, folder))
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def _program(folder: Path, body: str) -> None:
    lines = ["import numpy as np", "def batches():", *(f"    {line}" for line in body.split("\n"))]
    (folder / "task.py").write_text("\n".join(lines))
    load_function.cache_clear()


def test_without_data_there_are_random_batches_of_several_seeds(workload: Workload) -> None:
    found = {batch["x"].tobytes() for batch in calibration_batches(workload)}
    assert len(found) == CALIBRATION_SEEDS * RANDOM_BATCHES


def test_given_inputs_are_taken_where_nothing_else_is(workload: Workload, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=IMAGES)
    source = check_inputs_file(
        workload.model, workload.plan.ranges, workload.batched_inputs, tmp_path / "data.npz"
    )
    np.testing.assert_array_equal(_joined(replace(workload, inputs=source)), IMAGES[[0, 1, 2, 3, 4, 0]])


def test_a_file_may_hold_labels_besides(workload: Workload, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=IMAGES, labels=np.arange(5))
    found = _with("data.npz", workload, tmp_path)
    assert found.calibration is not None
    assert found.calibration.digest
    np.testing.assert_array_equal(_joined(found), IMAGES[[0, 1, 2, 3, 4, 0]])


def _sizes(workload: Workload) -> list[int]:
    return [len(batch["x"]) for batch in calibration_batches(workload, large=True)]


@pytest.mark.parametrize(
    ("samples", "batch", "sizes"),
    [
        (5, 2, [5]),
        (70, 1, [24] * 3),
        (64, 1, [32] * 2),
        (70, 48, [48] * 2),
        (1, 2, [2]),
    ],
)
def test_large_batches_hold_as_many_samples_as_are_computed_well_at_once(
    workload: Workload, tmp_path: Path, samples: int, batch: int, sizes: list[int]
) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((samples, 3, 12, 12), np.float32))
    found = at_batch(_with("data.npz", workload, tmp_path), batch)
    assert _sizes(found) == sizes
    assert {len(one["x"]) for one in calibration_batches(found)} == {batch}


def test_large_samples_come_in_smaller_batches(
    workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "BATCH_BYTES", 4 * IMAGES[0].nbytes)
    np.savez(tmp_path / "data.npz", x=np.repeat(IMAGES, 4, axis=0))
    assert _sizes(_with("data.npz", workload, tmp_path)) == [4] * 5


def test_large_batches_are_of_data_that_was_given_for_a_model_that_takes_them(
    workload: Workload, tmp_path: Path
) -> None:
    assert set(_sizes(workload)) == {2}
    np.savez(tmp_path / "data.npz", ids=np.ones((6, 4), np.int64), scale=np.ones((3, 3), np.float32))
    for fixed in (False, True):
        found = _with("data.npz", _two_inputs(fixed=fixed), tmp_path)
        sizes = [batch["ids"].shape for batch in calibration_batches(found, large=True)]
        assert sizes == [(2, 4)] * 3


@pytest.mark.parametrize("below", ["images", "images/x"])
def test_a_folder_holds_samples_or_batches(workload: Workload, tmp_path: Path, below: str) -> None:
    folder = tmp_path / below
    folder.mkdir(parents=True)
    for name, array in {"a": IMAGES[0], "b": IMAGES[1:4], "c": IMAGES[4]}.items():
        np.save(folder / f"{name}.npy", array)
    found = _with("images", workload, tmp_path)
    np.testing.assert_array_equal(_joined(found), IMAGES[[0, 1, 2, 3, 4, 0]])
    np.save(folder / "c.npy", IMAGES[0])
    assert calibration_identity(_with("images", workload, tmp_path)) != calibration_identity(found)


def test_an_input_without_batch_has_a_file_for_each_set(tmp_path: Path) -> None:
    for name in ("ids", "scale"):
        (tmp_path / "data" / name).mkdir(parents=True)
    np.save(tmp_path / "data/ids/0.npy", np.arange(16).reshape(4, 4) % 10)
    for number in (1, 2):
        np.save(tmp_path / f"data/scale/{number}.npy", np.full(3, number, np.float32))
    batches = list(calibration_batches(_with("data", _two_inputs(), tmp_path)))
    assert [batch["scale"].tolist() for batch in batches] == [[1, 1, 1], [2, 2, 2]]
    assert [batch["ids"].shape for batch in batches] == [(2, 4)] * 2


def test_a_function_gives_batches_of_any_size(workload: Workload, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    body = f"images = np.load({str(tmp_path / 'images.npy')!r})\nyield {{'x': images[:3]}}"
    _program(tmp_path, f"{body}\nyield {{'x': images[3:]}}")
    found = _with("task:batches", workload, tmp_path)
    check_calibration(found)
    np.testing.assert_array_equal(_joined(found), IMAGES[[0, 1, 2, 3, 4, 0]])


def test_a_function_without_end_is_cut(
    workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_SAMPLES >= 512
    monkeypatch.setattr(calibration, "MOST_SAMPLES", 10)
    _program(tmp_path, "while True: yield {'x': np.ones((4, 3, 12, 12), np.float32)}")
    assert len(_joined(_with("task.py:batches", workload, tmp_path))) == 10


def test_a_model_of_fixed_batch_takes_sets(tmp_path: Path) -> None:
    _program(tmp_path, "for n in range(3): yield {'ids': np.full((2, 4), n), 'scale': np.full(3, n, 'f4')}")
    workload = _with("task:batches", _two_inputs(fixed=True), tmp_path)
    found = [(batch["ids"].tolist(), batch["scale"].tolist()) for batch in calibration_batches(workload)]
    assert found == [([[n] * 4] * 2, [n] * 3) for n in range(3)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return []", "yields no data"),
        ("return None", "raised TypeError: 'NoneType' object is not iterable"),
        ("return [np.ones(3)]", "gives a ndarray"),
        ("yield {}", "gives a dict with nothing"),
        ("yield {'y': 1}", "gives a dict with y"),
        ("yield {'x': np.ones((1, 3, 12, 12), 'f4'), 'y': 1}", "the model has no input 'y'"),
        ("yield {'x': np.ones((1, 3, 12, 12))}", "is float64, and the model takes float32"),
        ("yield {'x': np.ones((1, 3, 9, 9), 'f4')}", "is 1x3x9x9, not Nx3x12x12"),
        ("yield {'x': np.full((1, 3, 12, 12), np.nan, 'f4')}", "has NaN or infinity"),
        ("raise OSError('no\\ndisk')", "raised OSError: no disk (line 3 of task.py)"),
    ],
)
def test_data_of_a_function_is_checked(workload: Workload, tmp_path: Path, body: str, message: str) -> None:
    _program(tmp_path, body.replace("\n", "\\n"))
    error = _refusal("task:batches", workload, tmp_path)
    assert message in error.message
    assert "'task:batches'" in str(error)


def test_a_function_that_fails_later_is_the_users_mistake_too(workload: Workload, tmp_path: Path) -> None:
    _program(tmp_path, "yield {'x': np.ones((1, 3, 12, 12), 'f4')}\nraise ValueError('spoiled')")
    found = _with("task:batches", workload, tmp_path)
    check_calibration(found)
    with pytest.raises(UserError, match="raised ValueError: spoiled"):
        list(calibration_batches(found))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.npz", "no such file"),
        ("none", "no such file"),
        ("none:batches", "there is no module 'none'"),
        ("text.npz", "is not an npz file"),
        ("empty", "has no npy files for the input 'x'"),
        ("spoiled", "is not an npy file that can be read"),
        ("other", "is 7, not 3x12x12"),
        ("double", "is float64, and the model takes float32"),
        ("pickled", "is not an npy file that can be read"),
    ],
)
def test_files_are_checked_when_they_are_given(
    workload: Workload, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "text.npz").write_text("hello")
    contents: Mapping[str, np.ndarray] = {
        "other": np.ones(7, np.float32),
        "double": IMAGES.astype(np.float64),
        "pickled": np.array([{}], dtype=object),
    }
    for name in ("empty", "spoiled", *contents):
        (tmp_path / name).mkdir()
    (tmp_path / "spoiled" / "a.npy").write_bytes(b"\x93NUMPY cut")
    for name, array in contents.items():
        np.save(tmp_path / name / "a.npy", array)
    assert message in _refusal(text, workload, tmp_path).message


def test_calibration_identity_changes_with_the_batches(workload: Workload, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=IMAGES)
    (tmp_path / "task.py").write_text("def batches(): pass\ndef others(): pass")
    variants = [
        workload,
        replace(workload, inputs=InputSource(seed=1)),
        at_batch(workload, 1),
        *(_with(text, workload, tmp_path) for text in ("data.npz", "task:batches", "task:others")),
    ]
    identities = [str(calibration_identity(one)) for one in variants]
    assert len(set(identities)) == len(variants)
    assert all(one != other for one, other in itertools.pairwise(identities))
