"""Every mistake of the user gives one line and a hint, exit code 2, no traceback, and loses nothing."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from examples import models
from tests.command import Command

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def _save(
    path: Path,
    *nodes: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto] = (X,),
    outputs: Sequence[onnx.ValueInfoProto] = (Y,),
    weights: Sequence[onnx.TensorProto] = (),
    domains: Sequence[str] = (),
) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(name, 1) for name in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


# the model


def test_missing_model_file_is_refused(command: Command) -> None:
    said = command("search", "nothing.onnx").complaint
    assert said == "no such file: 'nothing.onnx'. Check the path of the model."


def test_folder_as_model_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    assert command("search", "models").complaint == "'models' is a folder. Give the ONNX file inside it."


def test_empty_path_is_refused(command: Command) -> None:
    assert "the path is empty" in command("search", "").complaint


def test_file_that_is_not_onnx_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("import torch\n")
    assert "not an ONNX model but a text" in command("search", "m.onnx").complaint


def test_random_bytes_are_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(np.random.default_rng(0).bytes(4000))
    assert "'m.onnx'" in command("search", "m.onnx").complaint


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated_model_is_refused(command: Command, model: Path, share: float) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: int(len(data) * share)])
    assert re.search(r"cut off|damaged|has no graph|opset", command("search", model).complaint)


def test_missing_external_weights_are_refused(command: Command, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones((4, 512), np.float32), "w")
    path = _save(tmp_path / "m.onnx", helper.make_node("MatMul", ["x", "w"], ["y"]), weights=[weights])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    said = command("search", path).complaint
    assert "'weights.bin' are missing" in said


def test_model_without_inputs(command: Command, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(3, np.float32), "w")
    path = _save(tmp_path / "m.onnx", helper.make_node("Relu", ["w"], ["y"]), inputs=[], weights=[weights])
    assert "the model has no inputs" in command("search", path).complaint


def test_string_inputs_without_data_for_them(command: Command, tmp_path: Path) -> None:
    text = helper.make_tensor_value_info("x", TensorProto.STRING, [2])
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER")
    out = helper.make_tensor_value_info("y", TensorProto.STRING, [2])
    path = _save(tmp_path / "m.onnx", node, inputs=[text], outputs=[out])
    said = command("search", path, "--backend", "onnxruntime", "--trials", 1).complaint
    assert "--inputs data.npz" in said


def test_a_path_that_is_not_text(command: Command, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "m\udcff.onnx"
    shutil.copy(model, path)
    said = command("search", path, "--backend", "fake").complaint
    assert "is not text in UTF-8" in said


def test_an_operator_of_a_domain_that_the_backend_lacks(command: Command, tmp_path: Path) -> None:
    node = helper.make_node("Swish", ["x"], ["y"], domain="my.ops")
    path = _save(tmp_path / "m.onnx", node, domains=["my.ops"])
    said = command("search", path, "--backend", "onnxruntime").complaint
    assert "my.ops:Swish" in said
    assert "Replace it in the model" in said


def test_an_operator_that_no_opset_has(command: Command, tmp_path: Path) -> None:
    path = _save(tmp_path / "m.onnx", helper.make_node("Swoosh", ["x"], ["y"]))
    assert "Swoosh" in command("search", path, "--backend", "onnxruntime").complaint


def test_a_model_that_the_backend_cannot_run_leaves_no_study(command: Command, tmp_path: Path) -> None:
    path = _save(tmp_path / "m.onnx", helper.make_node("Swoosh", ["x"], ["y"]))
    command("search", path, "--backend", "onnxruntime")
    assert command("studies", "--json").document["studies"] == []


# shapes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shapes", "z:1x3x12x12"], "no input 'z'. Its inputs: x:batchx3x12x12"),
        (["--shapes", "x:1x3x12"], "has 4 dimensions, not 3"),
        (["--shapes", "x:1x4x12x12"], "fixed to 3, not 4"),
        (["--shapes", "x:0x3x12x12"], "a dimension below 1"),
        (["--shapes", "x:-1x3x12x12"], "a dimension below 1"),
        (["--shapes", "banana"], "cannot read the shape 'banana'"),
        (["--shapes", ""], "cannot read the shape ''"),
        (["--shapes", "x:1x3x12x12,x:2x3x12x12"], "given twice"),
        (["--shapes", "x:1x3x12x12", "--shapes", "x:2x3x12x12"], "given twice"),
        (["--min-shapes", "x:4x3x12x12", "--opt-shapes", "x:2x3x12x12"], "minimum 4 of dimension 'batch'"),
        (["--optShapes", "x:4x3x12x12", "--maxShapes", "x:2x3x12x12"], "optimum 4 of dimension 'batch'"),
        (["--minShapes", "x:4x3x12x12", "--maxShapes", "x:2x3x12x12"], "minimum 4"),
    ],
    ids=" ".join,
)
def test_wrong_shapes_are_refused(command: Command, model: Path, options: list[str], said: str) -> None:
    assert said in command("search", model, "--backend", "fake", *options).complaint


# inputs

GOOD = np.zeros((2, 3, 12, 12), np.float32)
BAD_INPUTS: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "none": ({}, "contains no arrays"),
    "another": ({"z": GOOD}, "no input 'z'"),
    "one too many": ({"x": GOOD, "z": GOOD}, "no input 'z'"),
    "dtype": ({"x": GOOD.astype(np.float64)}, "is float64, and the model takes float32"),
    "integers": ({"x": GOOD.astype(np.int64)}, "is int64, and the model takes float32"),
    "empty": ({"x": GOOD[:0]}, "is empty. Give at least one sample"),
    "rank": ({"x": GOOD[0]}, "is 3x12x12, not Nx3x12x12"),
    "shape": ({"x": GOOD[:, :, :5]}, "is 2x3x5x12, not Nx3x12x12"),
    "nan": ({"x": GOOD * np.nan}, "has NaN or infinity in 864 of its 864 values"),
    "infinity": ({"x": GOOD + np.inf}, "has NaN or infinity"),
    "pickled": ({"x": np.array([object()])}, "pickle"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_wrong_inputs_are_refused(command: Command, model: Path, tmp_path: Path, name: str) -> None:
    arrays, said = BAD_INPUTS[name]
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    assert said in command("search", model, "--backend", "fake", "--inputs", "data.npz").complaint


def test_missing_input_is_refused(command: Command, tmp_path: Path) -> None:
    model = models.save("mixed_types", tmp_path)
    np.savez(tmp_path / "data.npz", features=np.zeros((1, 16), np.float32))
    said = command("search", model, "--backend", "fake", "--inputs", "data.npz").complaint
    assert "has no array for the input 'categories'" in said


def _missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("1 2 3\n")


def _damaged(path: Path) -> None:
    np.savez(path, x=GOOD)
    data = bytearray(path.read_bytes())
    data[200:240] = bytes(40)
    path.write_bytes(data[:-300])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_missing, "no such file: 'data.npz'. Check the path"),
        (_folder, "'data.npz' is a folder"),
        (_text, "is not an npz file, or is damaged"),
        (_damaged, "is not an npz file, or is damaged"),
    ],
)
def test_invalid_inputs_file_is_refused(
    command: Command, model: Path, tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    make(tmp_path / "data.npz")
    assert said in command("search", model, "--backend", "fake", "--inputs", "data.npz").complaint


def test_plugins_are_for_tensorrt(command: Command, tmp_path: Path) -> None:
    library = tmp_path / "libfoo.so"
    library.write_bytes(b"")
    refused = command("search", models.save("mlp", tmp_path), "--backend", "fake", "--plugins", library)
    assert refused.code == 2
    assert "the backend fake takes no plugins" in refused.err


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("m.onnx", ("search", "m.onnx", "--backend", "fake")),
        ("m.onnx", ("sensitivity", "m.onnx")),
        ("data.npz", ("search", "tiny.onnx", "--backend", "fake", "--inputs", "data.npz")),
        ("data.npz", ("search", "tiny.onnx", "--backend", "fake", "--calibration", "data.npz")),
        ("task.py", ("search", "tiny.onnx", "--backend", "fake", "--metric", "task.py:accuracy")),
        ("net.plan", ("measure", "net.plan", "--backend", "tensorrt")),
        ("m.ort", ("measure", "m.ort")),
        ("m.onnx", ("compare", "tiny.onnx", "m.onnx")),
        ("outputs.npz", ("compare", "tiny.onnx", "outputs.npz")),
        ("l.json.gz", ("search", "tiny.onnx", "--backend", "replay:landscape=l.json.gz")),
    ],
)
@pytest.mark.usefixtures("model")
def test_pipe_is_refused_at_once(
    command: Command, pipe: Callable[[str], Path], name: str, arguments: Sequence[str]
) -> None:
    pipe(name)
    assert f"{name}' is not a regular file. Save its data to a file" in command(*arguments).complaint
