"""What the real TensorRT-RTX refuses, without a GPU."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.tensorrt.bindings.monitor import Messages
from engines.backends.tensorrt.bindings.vendor import Vendor, load_vendor
from engines.backends.tensorrt.build import network, op_support
from engines.backends.tensorrt.build.op_support import SUSPECTS, Suspect, refused
from engines.models import onnx_files

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return load_vendor("tensorrt-rtx")


def test_only_operators_of_the_model_are_probed(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    found = refused(vendor, frozenset({"Gemm", "HardSwish", "Relu"}))
    assert {precision: list(of) for precision, of in found.items()} == {"bf16": ["HardSwish"]}
    said = found["bf16"]["HardSwish"]
    assert said.startswith("the builder refuses HardSwish in bf16: the parser refused HardSwish")
    assert "Only FLOAT, HALF or INT8 input is supported" in said
    monkeypatch.setattr(network, "parse", lambda *_: pytest.fail("nothing is to be probed"))
    assert refused(vendor, frozenset({"MatMul", "Relu"})) == {}


def test_convolutions_are_built_and_that_on_rtx_only(vendor: Vendor) -> None:
    operators = frozenset({"Conv", "ConvTranspose", "Mish"})
    found = refused(vendor, operators)
    assert {precision: sorted(of) for precision, of in found.items()} == {
        "bf16": ["ConvTranspose", "Mish"],
        "int8": ["Conv", "ConvTranspose"],
    }
    other = refused(replace(vendor, is_rtx=False), operators)
    assert {precision: sorted(of) for precision, of in other.items()} == {"bf16": ["Mish"]}


@pytest.mark.parametrize("suspect", SUSPECTS, ids=lambda suspect: suspect.operator)
def test_it_is_the_type_that_is_refused(suspect: Suspect, vendor: Vendor, tmp_path: Path) -> None:
    messages = Messages(vendor, None)
    builder = vendor.module.Builder(messages.logger)
    onnx_files.save(op_support._model(suspect), tmp_path / "probe.onnx")
    parsed, parser = network.parse(vendor, builder, tmp_path / "probe.onnx", messages)
    assert builder.build_serialized_network(parsed, builder.create_builder_config()) is not None
    del parser
