"""By a stand-in for the other Python, and by the real one where TUNER_MODELOPT_PYTHON names it."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
import pytest

from engines.core.errors import UserError
from engines.graphs.passes import half_precision, modelopt, qdq, selection
from engines.graphs.passes.modelopt import Environment, autocast, find, quantize, save_batches
from tests.engines.graphs.other_python import WRITES, batches, other_python
from tests.engines.graphs.running import example

REAL = os.environ.get(modelopt.VARIABLE)
NOTHING: frozenset[str] = frozenset()


def _quantized() -> onnx.ModelProto:
    model = example("mlp")
    return qdq.insert_qdq(
        model, "int8", {site.tensor: 1.0 for site in selection.sites(model, "int8")}, NOTHING
    )


def _call(folder: Path, number: int = 0) -> dict[str, Any]:
    """What followed each option, and what else was seen of one call."""
    asked = json.loads((folder / f"call-{number}.json").read_bytes())
    options: dict[str, list[str]] = {}
    last = ""
    for argument in asked.pop("arguments"):
        if argument.startswith("-"):
            last = argument
            options[last] = []
        else:
            options[last].append(argument)
    return {**asked, **options}


def test_autocast_gets_the_type_and_the_excluded_nodes(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, half_precision.lower(example("mlp"), "bf16", NOTHING))
    data = save_batches(batches(), tmp_path / "data")
    autocast(environment, model, "bf16", frozenset({"Gemm_2", "a.b/c"}), data, tmp_path / "made.onnx")
    call = _call(tmp_path)
    assert call["-m"] == ["modelopt.onnx.autocast"]
    assert call["--onnx_path"] == [str(model)]
    assert call["--low_precision_type"] == ["bf16"]
    assert call["--keep_io_types"] == []
    assert call["--calibration_data"] == [str(data)]
    assert call["--nodes_to_exclude"] == [r"^Gemm_2$", r"^a\.b/c$"]
    assert onnx.load(tmp_path / "made.onnx").graph.initializer[0].data_type == onnx.TensorProto.BFLOAT16


def test_without_data_or_nodes_to_keep_neither_is_said(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, half_precision.lower(example("mlp"), "fp16", NOTHING))
    autocast(environment, model, "fp16", NOTHING, None, tmp_path / "made.onnx")
    assert not {"--calibration_data", "--nodes_to_exclude"} & _call(tmp_path).keys()


def test_quantize_cuts_its_data_as_the_batches_were(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, _quantized())
    data = save_batches(batches(3), tmp_path / "data")
    quantize(environment, model, "int8", "minmax", NOTHING, data, "fp16", tmp_path / "made.onnx")
    call = _call(tmp_path)
    assert call["-m"] == ["modelopt.onnx.quantization"]
    assert call["--quantize_mode"] == ["int8"]
    assert call["--calibration_method"] == ["max"]
    assert call["--high_precision_dtype"] == ["fp16"]
    assert call["--calibration_shapes"] == ["features:4x64"]
    assert call["data"] == {"features": [12, 64]}
    assert call["--calibration_eps"] == ["cpu"]
    assert (tmp_path / "made.onnx").exists()


def test_nodes_that_are_kept_stay_fp32_since_the_rest_is_lowered_before(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, half_precision.lower(_quantized(), "fp16", NOTHING))
    quantize(
        environment, model, "fp8", "entropy", frozenset({"Gemm_2"}), None, "fp16", tmp_path / "made.onnx"
    )
    first, second = _call(tmp_path, 0), _call(tmp_path, 1)
    assert (first["-m"], second["-m"]) == (["modelopt.onnx.autocast"], ["modelopt.onnx.quantization"])
    assert first["--nodes_to_exclude"] == second["--nodes_to_exclude"] == ["^Gemm_2$"]
    assert second["--onnx_path"] != [str(model)]
    assert second["--high_precision_dtype"] == ["fp32"]


@pytest.mark.parametrize(("given", "expected"), [(True, "awq_clip"), (False, "rtn_dq")])
def test_int4_has_methods_of_its_own(given: bool, expected: str, tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, _quantized())
    data = save_batches(batches(), tmp_path / "data") if given else None
    quantize(environment, model, "int4", "percentile", NOTHING, data, "fp32", tmp_path / "made.onnx")
    assert _call(tmp_path)["--calibration_method"] == [expected]


def test_weights_beside_the_model_are_allowed_for(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, _quantized())
    (tmp_path / "model.onnx.data").touch()
    quantize(environment, model, "int8", "entropy", NOTHING, None, "fp32", tmp_path / "made.onnx")
    assert "--use_external_data_format" in _call(tmp_path)


def test_the_other_python_gets_no_packages_of_this_one_and_leaves_nothing_behind(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    environment = other_python(tmp_path, WRITES, _quantized())
    quantize(environment, model, "int8", "entropy", NOTHING, None, "fp32", tmp_path / "made.onnx")
    assert _call(tmp_path)["path"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answer.onnx",
        "call-0.json",
        "made.onnx",
        "model.onnx",
        "python",
    ]


def test_the_python_that_is_named_is_found_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = other_python(tmp_path, WRITES)
    monkeypatch.setenv(modelopt.VARIABLE, environment.python)
    assert find() == environment


def test_variable_that_names_no_python_is_a_user_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(modelopt.VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UserError, match="there is no Python at"):
        find()


@pytest.mark.skipif(find_spec("modelopt") is not None, reason="ModelOpt is installed")
def test_a_python_without_it_is_the_users_to_mend_if_named_and_none_if_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(modelopt.VARIABLE, raising=False)
    assert find() is None
    monkeypatch.setenv(modelopt.VARIABLE, sys.executable)
    with pytest.raises(UserError, match="has no NVIDIA ModelOpt"):
        find()


@pytest.fixture
def real() -> Environment:
    if not REAL:
        pytest.skip(f"{modelopt.VARIABLE} names no Python with NVIDIA ModelOpt")
    found = find()
    assert found is not None
    return found


def _types_of(file: Path, node: str) -> set[int]:
    """The types of the weights that a node takes as they are."""
    graph = onnx.load(file).graph
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {weights[name] for one in graph.node if one.name == node for name in one.input if name in weights}


def test_the_real_one_lowers_and_keeps(real: Environment, tmp_path: Path, model: Path) -> None:
    data = save_batches(batches(), tmp_path / "data")
    autocast(real, model, "fp16", frozenset({"Gemm_2"}), data, tmp_path / "made.onnx")
    assert _types_of(tmp_path / "made.onnx", "Gemm_2") == {onnx.TensorProto.FLOAT}
    assert _types_of(tmp_path / "made.onnx", "Gemm_0") == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("mode", ["int8", "fp8"])
def test_the_real_one_quantizes_and_keeps(mode: str, real: Environment, tmp_path: Path, model: Path) -> None:
    data = save_batches(batches(), tmp_path / "data")
    quantize(real, model, mode, "minmax", frozenset({"Gemm_2"}), data, "fp16", tmp_path / "made.onnx")
    made = onnx.load(tmp_path / "made.onnx")
    assert "QuantizeLinear" in {node.op_type for node in made.graph.node}
    assert _types_of(tmp_path / "made.onnx", "Gemm_2") == {onnx.TensorProto.FLOAT}
