import logging
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from engines.core.errors import EngineError
from engines.graphs.passes.calibration import METHODS, calibrate, ranges
from engines.models import onnx_files
from tests.engines.graphs.running import example, inputs, small_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _file(folder: Path) -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    model = small_model(nodes, {"w": np.eye(4, dtype=np.float32)}, shape=["batch", 4])
    onnx_files.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def _batches(*largest: float) -> list[dict[str, np.ndarray]]:
    """Of different sizes, which data may have."""
    random = np.random.default_rng(3)
    found = []
    for place, value in enumerate(largest, 5000):
        values = random.normal(0, 0.1, (place, 4)).astype(np.float32)
        values[0, 0] = value
        found.append({"x": values})
    return found


def test_minmax_is_the_largest_size_in_any_batch_of_the_tensors_asked_for(tmp_path: Path) -> None:
    batches = _batches(-7.0, 5.0)
    assert calibrate(_file(tmp_path), batches, "minmax", ["x", "y"], tmp_path) == {"x": 7.0, "y": 5.0}


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_the_other_methods_cut_off_what_is_rare(method: str, tmp_path: Path) -> None:
    found = calibrate(_file(tmp_path), iter(_batches(-7.0, 5.0)), method, ["x", "h"], tmp_path)
    assert list(found) == ["x", "h"]
    assert all(0.2 < amax < 6.9 for amax in found.values())


@pytest.mark.parametrize("method", METHODS)
def test_it_is_silent_and_leaves_logging_as_it_was(
    method: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    calibrate(_file(tmp_path), _batches(1.0), method, ["x", "x"], tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert logging.root.manager.disable == logging.NOTSET


def test_data_must_be_there_and_finite(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no calibration data"):
        calibrate(_file(tmp_path), [], "minmax", ["x"], tmp_path)
    assert calibrate(_file(tmp_path), _batches(1.0), "entropy", [], tmp_path) == {}
    with pytest.raises(EngineError, match="nothing in this model can be quantized"):
        ranges(_file(tmp_path), _batches(1.0), "entropy", tmp_path, operators=["Conv"])
    with pytest.raises(EngineError, match="'x' is not finite"):
        calibrate(_file(tmp_path), _batches(np.inf), "minmax", ["x"], tmp_path)
    with pytest.raises(EngineError, match="cannot be calibrated on batch 2"):
        calibrate(_file(tmp_path), _batches(1.0, np.inf), "entropy", ["x"], tmp_path)


def test_a_model_with_its_weights_beside_it_is_calibrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = example("mlp")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    onnx_files.save(model, tmp_path / "whole.onnx")
    expected = calibrate(tmp_path / "whole.onnx", [inputs("mlp")], "minmax", ["relu_1"], scratch)
    monkeypatch.setattr(onnx_files, "EXTERNAL_WEIGHTS_BYTES", 1000)
    onnx_files.save(model, tmp_path / "split.onnx")
    found = calibrate(tmp_path / "split.onnx", [inputs("mlp")], "minmax", ["relu_1"], scratch)
    assert found == expected
    assert {path.name for path in tmp_path.iterdir()} == {
        "scratch",
        "whole.onnx",
        "split.onnx",
        "split.onnx.data",
    }
