import json
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.inspect.layers import facts, layers, type_of
from tests.engines.backends.tensorrt.fakes import enum, vendor

# TensorRT 10: format and type in one
TEN = {
    "Layers": [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0",
            "LayerType": "Reformat",
            "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP32"}],
            "Outputs": [
                {"Name": "x0", "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}
            ],
        },
        {
            "Name": "conv",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "x0", "Format/Datatype": "Channel major FP16 format where channel % 4 == 0"}],
            "Outputs": [{"Name": "c", "Format/Datatype": "Half"}],
            "TacticName": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32",
        },
        {
            "Name": "__myl_Cast",
            "LayerType": "kgen",
            "Inputs": [{"Name": "c", "Format/Datatype": "Half"}],
            "Outputs": [{"Name": "y", "Format/Datatype": "Float"}],
        },
        {"Name": "signal", "LayerType": "signal", "Inputs": [], "Outputs": []},
    ],
    "Bindings": ["x", "y"],
}
# TensorRT 11: the two apart, and inputs and outputs of the engine described
ELEVEN = {
    "Layers": [
        {
            "Name": "conv",
            "Outputs": [{"Name": "c", "Format": "Channel major where channel % 8 == 0", "Datatype": "Half"}],
        },
        {"Name": "gemm", "Outputs": [{"Name": "y", "Format": "Row major linear", "Datatype": "FP8"}]},
    ],
    "I/O Tensors": [{"Name": "y", "IOMode": "Output", "DataType": "Float"}],
}


def _inspected(text: str) -> list[Any]:
    inspector = SimpleNamespace(get_engine_information=lambda of: text if of.name == "JSON" else "")
    module = vendor(LayerInformationFormat=enum("LayerInformationFormat", "ONELINE", "JSON"))
    return list(layers(module, SimpleNamespace(create_engine_inspector=lambda: inspector)))


def test_types_are_read_from_the_json_of_tensorrt_10() -> None:
    assert facts(_inspected(json.dumps(TEN)), "fp16") == {
        "layers": 3,
        "layer_types": "fp16:2 fp32:1",
        "precision_as_asked": True,
    }


def test_types_are_read_from_the_json_of_tensorrt_11() -> None:
    assert facts(_inspected(json.dumps(ELEVEN)), "fp8") == {
        "layers": 2,
        "layer_types": "fp16:1 fp8:1",
        "precision_as_asked": True,
    }


@pytest.mark.parametrize(("asked", "is_so"), [("fp16", False), ("fp32", True), ("tf32", True)])
def test_an_engine_without_a_layer_of_the_type_asked_for_contradicts(asked: str, is_so: bool) -> None:
    full = [{"Name": "conv", "Outputs": [{"Format/Datatype": "Row major linear FP32"}]}]
    assert facts(full, asked)["precision_as_asked"] is is_so


def test_names_alone_contradict_nothing() -> None:
    found = _inspected('{"Layers": ["conv", "gemm"], "Bindings": ["x"]}')
    assert found == [{"Name": "conv"}, {"Name": "gemm"}]
    assert facts(found, "fp16") == {"layers": 0, "layer_types": "", "precision_as_asked": True}


def test_a_name_with_a_control_character_is_read() -> None:
    assert _inspected('{"Layers": [{"Name": "a\tb\x1fc"}]}') == [{"Name": "a\tb\x1fc"}]


def test_layer_information_that_is_not_json_is_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    assert _inspected('{"Layers": [') == []
    assert capsys.readouterr().err.startswith("[W] the engine's layers cannot be read: ")


def test_a_bare_list_is_taken_for_the_layers() -> None:
    assert _inspected('[{"Name": "conv"}]') == [{"Name": "conv"}]


@pytest.mark.parametrize(
    ("spelled", "type_"),
    [
        ("Row major linear FP32", "fp32"),
        ("Float", "fp32"),
        ("Double", "fp64"),
        ("Half", "fp16"),
        ("Two wide channel vectorized row major FP16 format", "fp16"),
        ("Row major linear BFloat16 format", "bf16"),
        ("BF16", "bf16"),
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Channel major UInt8 format", "uint8"),
        ("UInt32", "uint32"),
        ("Row major linear Int32", "int32"),
        ("Row major linear Int64 format", "int64"),
        ("Row major linear BOOL", "bool"),
        ("Row major linear FP8 format", "fp8"),
        ("FP4E2M1", "fp4"),
        ("INT4", "int4"),
        ("Unknown format", ""),
        ("None", ""),
        ("", ""),
    ],
)
def test_every_spelling_of_a_type_is_known(spelled: str, type_: str) -> None:
    assert type_of({"Format/Datatype": spelled}) == type_
    assert type_of({"Format": "Row major linear", "Datatype": spelled}) == type_
