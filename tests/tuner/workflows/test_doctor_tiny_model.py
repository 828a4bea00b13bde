from pathlib import Path

from engines.models.read import read_model
from tuner.workflows.doctor import BATCH, LAYERS, WIDTH, save_tiny_model


def test_the_network_can_be_read_and_is_the_same_every_time(tmp_path: Path) -> None:
    first, again = (read_model(save_tiny_model(tmp_path / f"{name}.onnx")) for name in "ab")
    assert first.digest == again.digest
    assert first.inputs[0].shape == first.outputs[0].shape == (BATCH, WIDTH)
    assert first.operators == {"MatMul": LAYERS, "Relu": LAYERS}
