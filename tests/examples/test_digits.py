from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

pytest.importorskip("sklearn")

from engines.graphs.analysis.sensitivity import rank
from engines.graphs.passes import ort_quantize
from engines.graphs.passes.calibration import calibrate
from engines.graphs.passes.selection import sites
from engines.models.read import read_model
from examples import digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    digits.save(folder)
    return folder


def _logits(model: Path, folder: Path) -> Any:
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return session.run(None, {"images": np.load(folder / "digits.npz")["images"]})[0]


def _accuracy(model: Path, folder: Path) -> float:
    inputs = dict(np.load(folder / "digits.npz"))
    return digits.accuracy(inputs, {"logits": _logits(model, folder)})


def _lowered(folder: Path, file: Path, *keep: str) -> Path:
    batches = [{"images": np.load(folder / "digits-calibration.npz")["images"]}]
    ort_quantize.quantize_int8(folder / "digits.onnx", batches, file, "minmax", frozenset(keep))
    return file


def test_the_model_takes_any_batch_of_images(folder: Path) -> None:
    facts = read_model(folder / "digits.onnx")
    assert [(one.name, one.shape) for one in facts.inputs] == [("images", ("batch", 1, 8, 8))]
    assert [(one.name, one.shape) for one in facts.outputs] == [("logits", ("batch", 10))]


def test_the_data_is_apart_from_what_it_is_calibrated_with(folder: Path) -> None:
    held_out, calibration = np.load(folder / "digits.npz"), np.load(folder / "digits-calibration.npz")
    assert held_out["images"].shape == (digits.HELD_OUT, 1, 8, 8)
    assert held_out["labels"].shape == (digits.HELD_OUT,)
    assert calibration.files == ["images"]
    seen = {image.tobytes() for image in calibration["images"]}
    assert not any(image.tobytes() in seen for image in held_out["images"])


def test_int8_costs_accuracy_that_a_person_can_see_and_the_worst_convolution_most_of_it(
    folder: Path, tmp_path: Path
) -> None:
    exact = _accuracy(folder / "digits.onnx", folder)
    lowered = _accuracy(_lowered(folder, tmp_path / "int8.onnx"), folder)
    mixed = _accuracy(_lowered(folder, tmp_path / "mixed.onnx", "conv2"), folder)
    assert exact > 0.96
    assert 0.01 < exact - lowered < 0.06
    assert exact - mixed < 0.6 * (exact - lowered)


def test_that_convolution_is_the_one_that_hurts_most(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "digits.onnx")
    images = np.load(folder / "digits-calibration.npz")["images"]
    tensors = sorted({site.tensor for site in sites(model, "int8") if not site.is_weight})
    amax = calibrate(folder / "digits.onnx", [{"images": images}], "minmax", tensors, tmp_path)
    ranked = rank(model, "int8", [{"images": images[:2]}], amax, lambda _: None)
    assert ranked[0].node == "conv2"


def test_uneven_channels_change_nothing_in_fp32(folder: Path, tmp_path: Path) -> None:
    stored = onnx.load(folder / "digits.onnx").graph.initializer
    weights = [numpy_helper.to_array(one) for one in stored if one.name.startswith("w")]
    again = digits.uneven(weights)
    assert any(not np.array_equal(one, other) for one, other in zip(weights, again, strict=True))
    onnx.save(digits.model(again), tmp_path / "again.onnx")
    before, after = (_logits(file, folder) for file in (folder / "digits.onnx", tmp_path / "again.onnx"))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)


def test_training_again_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    digits.save(tmp_path)
    for name in ("digits.onnx", "digits.npz", "digits-calibration.npz"):
        with (folder / name).open("rb") as one, (tmp_path / name).open("rb") as other:
            assert one.read() == other.read()
