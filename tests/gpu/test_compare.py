"""`tuner compare` with a real engine on a real GPU."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from examples import models
from tuner.cli import main

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, its exported baseline at a batch of 8, and the workspace."""
    folder = tmp_path_factory.mktemp("made")
    result = tuner.search(
        models.save("residual_cnn", folder),
        trials=1,
        shapes=("images:8x3x64x64",),
        backend="tensorrt-rtx",
        workspace=folder / "w",
        self_test=0,
        finalists=0,
    )
    result.export(folder / "best")
    return folder


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments), "--json", "-q"])
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed
    return json.loads(printed.out)


def test_an_engine_is_close_to_its_model_at_the_shapes_that_it_was_made_for(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, made / "residual_cnn.onnx", made / "best")
    assert found["shapes"] == {"images": [8, 3, 64, 64]}
    assert 0 < found["outputs"][0]["relative_l2"] < 0.01


def test_a_trial_is_equal_to_its_own_plan(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(made / "best" / "engine.plan", tmp_path / "net.plan")
    found = document(capsys, "trial:0", tmp_path / "net.plan", "--workspace", made / "w")
    assert found["shapes"] == {"images": [8, 3, 64, 64]}
    assert found["outputs"][0]["relative_l2"] < 1e-5


def test_an_engine_agrees_with_outputs_in_a_file(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime as ort

    images = np.random.default_rng(0).normal(size=(12, 3, 64, 64)).astype(np.float32)
    session = ort.InferenceSession(str(made / "residual_cnn.onnx"), providers=["CPUExecutionProvider"])
    np.savez(tmp_path / "in.npz", images=images)
    np.savez(tmp_path / "out.npz", logits=session.run(["logits"], {"images": images})[0])
    found = document(capsys, tmp_path / "out.npz", made / "best", "--inputs", tmp_path / "in.npz")
    assert found["batches"] == 2
    assert found["outputs"][0]["shapes"] == [[12, 10], [12, 10]]
