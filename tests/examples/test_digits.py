import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from onnxruntime import quantization

pytest.importorskip("sklearn")

from engines.model import read_model
from examples import digits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    digits.save(folder)
    return folder


def _accuracy(model: Path, folder: Path) -> float:
    with np.load(folder / "digits.npz") as file:
        inputs = dict(file)
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return digits.accuracy(inputs, {"logits": session.run(None, {"images": inputs["images"]})[0]})


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: np.ndarray) -> None:
        self._batches: Iterator[Any] = iter(np.split(images, 8))

    def get_next(self) -> Any:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch}


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


def test_int8_costs_a_little_accuracy_that_a_person_can_see(folder: Path, tmp_path: Path) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    lowered = tmp_path / "int8.onnx"
    quantization.quantize_static(
        str(folder / "digits.onnx"),
        str(lowered),
        _Calibration(np.load(folder / "digits-calibration.npz")["images"]),
        activation_type=quantization.QuantType.QInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        extra_options={"ActivationSymmetric": True},
    )
    before, after = _accuracy(folder / "digits.onnx", folder), _accuracy(lowered, folder)
    assert before > 0.95
    assert 0.003 < before - after < 0.06


def test_training_again_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    digits.save(tmp_path)
    for name in ("digits.onnx", "digits.npz", "digits-calibration.npz"):
        with (folder / name).open("rb") as one, (tmp_path / name).open("rb") as other:
            assert one.read() == other.read()
