import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from engines.core.errors import UserError
from engines.core.values import ModelFacts
from engines.models.read import read_model

SIZE = 4 * 8 * 4  # of each weight, in bytes


def _write(folder: Path, places: dict[str, dict[str, object]]) -> Path:
    """A model whose weights, 4x8 float32 each, lie at the places given."""
    weights, nodes = [], []
    for name, place in places.items():
        weight = numpy_helper.from_array(np.ones((4, 8), np.float32), name)
        set_external_data(weight, **place)
        weight.ClearField("raw_data")
        weights.append(weight)
        nodes.append(helper.make_node("MatMul", ["x", name], [f"y_{name}"]))
    outputs = [helper.make_tensor_value_info(f"y_{name}", TensorProto.FLOAT, ["n", 8]) for name in places]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_model(path)
    assert caught.value.hint
    return caught.value.message


def test_the_digest_is_that_of_the_model_and_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = _write(tmp_path, {"a": {"location": "z.bin"}, "b": {"location": "sub/a.bin"}})
    (tmp_path / "sub").mkdir()
    (tmp_path / "z.bin").write_bytes(b"1" * SIZE)
    (tmp_path / "sub" / "a.bin").write_bytes(b"2" * SIZE)
    facts = read_model(path)
    everything = path.read_bytes() + b"2" * SIZE + b"1" * SIZE
    assert facts.digest == hashlib.sha256(everything).hexdigest()
    assert (facts.parameters, facts.weight_bytes) == (64, 2 * SIZE)


def test_a_file_shared_by_weights_is_hashed_once(tmp_path: Path) -> None:
    places: dict[str, dict[str, object]] = {
        "a": {"location": "w.bin", "offset": 0, "length": SIZE},
        "b": {"location": "w.bin", "offset": SIZE, "length": SIZE},
    }
    path = _write(tmp_path, places)
    (tmp_path / "w.bin").write_bytes(bytes(2 * SIZE))
    assert read_model(path).digest == hashlib.sha256(path.read_bytes() + bytes(2 * SIZE)).hexdigest()


def test_large_external_weights_are_not_loaded(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = _write(tmp_path, {"w": {"location": "w.bin"}})
    os.truncate(_touched(tmp_path / "w.bin"), 2**28)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB, so 64 MiB


def _touched(path: Path) -> Path:
    path.touch()
    return path


def test_external_weights_of_a_constant_node_count_too(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    set_external_data(weight, "w.bin")
    weight.ClearField("raw_data")
    nodes = [
        helper.make_node("Constant", [], ["w"], value=weight),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    model = helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:]), ir_version=8)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert _refusal(path) == "the external weights 'w.bin' are missing"


def test_missing_external_weights_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, {"w": {"location": "w.bin"}})
    assert _refusal(path) == "the external weights 'w.bin' are missing"


@pytest.mark.parametrize("place", [{}, {"offset": 0, "length": SIZE}, {"offset": 16}])
def test_an_external_file_that_is_too_short_is_refused(tmp_path: Path, place: dict[str, object]) -> None:
    path = _write(tmp_path, {"w": {"location": "w.bin", **place}})
    whole = SIZE + int(str(place.get("offset", 0)))
    (tmp_path / "w.bin").write_bytes(bytes(whole - 1))
    assert _refusal(path) == (
        f"the external weights 'w.bin' are too short: 'w' ends at byte {whole} of {whole - 1}"
    )
    (tmp_path / "w.bin").write_bytes(bytes(whole))
    assert isinstance(read_model(path), ModelFacts)


@pytest.mark.parametrize("location", ["../w.bin", "/tmp/w.bin"])
def test_weights_outside_the_models_folder_are_refused(tmp_path: Path, location: str) -> None:
    path = _write(tmp_path, {"w": {"location": location}})
    assert "lie outside the model's folder" in _refusal(path)


def test_weights_behind_a_link_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, {"w": {"location": "w.bin"}})
    (tmp_path / "blob").write_bytes(bytes(SIZE))
    (tmp_path / "w.bin").symlink_to("blob")
    assert "are a symbolic link" in _refusal(path)


def test_external_weights_with_invalid_location_are_refused(tmp_path: Path) -> None:
    path = _write(tmp_path, {"w": {"location": "w.bin"}})
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data.add(key="offset", value="first")
    path.write_bytes(model.SerializeToString())
    assert _refusal(path) == "the location of the external weights 'w' cannot be parsed"


def test_weights_narrower_than_a_byte_are_counted_packed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["f"]),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    weight = helper.make_tensor("w", TensorProto.INT4, [5], bytes(3), raw=True)
    scale = numpy_helper.from_array(np.array(1, np.float32), "s")
    names = numpy_helper.from_array(np.array(["ab", "c"], dtype=object), "n")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [5]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight, scale, names])
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, ir_version=10).SerializeToString())
    facts = read_model(path)
    assert (facts.parameters, facts.weight_bytes) == (5 + 1 + 2, 3 + 4 + 3)
