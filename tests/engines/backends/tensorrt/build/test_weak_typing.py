import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build import weak_typing
from engines.core.errors import EngineError
from engines.core.values import Candidate, InputSource, Settings, Workload
from tests.engines.backends.tensorrt.fakes import enum, vendor
from tests.workloads import file_at, tiny_conv, workload_of

DTYPES = enum("DataType", "FLOAT", "HALF", "INT64")
LAYERS = enum("LayerType", "CONVOLUTION", "QUANTIZE", "DEQUANTIZE")
FLAGS = ("FP16", "BF16", "INT8", "FP8", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")


def _vendor(*flags: str, strong: bool = True, is_rtx: bool = False) -> Vendor:
    return vendor(
        is_rtx=is_rtx,
        BuilderFlag=enum("BuilderFlag", "TF32", *flags),
        NetworkDefinitionCreationFlag=enum("Creation", *(["STRONGLY_TYPED"] if strong else ["OTHER"])),
        DataType=DTYPES,
        LayerType=LAYERS,
    )


class Layer:
    """One output; an `obstinate` layer does not take a precision."""

    def __init__(
        self,
        name: str,
        *,
        node: str = "",
        dtype: Any = DTYPES.FLOAT,
        is_shape: bool = False,
        kind: Any = LAYERS.CONVOLUTION,
        obstinate: bool = False,
    ) -> None:
        self.name, self.type, self.num_outputs = name, kind, 1
        self.metadata = f"[ONNX Layer: {node}]" if node else ""
        self.output_types: dict[int, str] = {}
        self._output = SimpleNamespace(dtype=dtype, is_shape_tensor=is_shape)
        self._precision, self._obstinate = DTYPES.HALF, obstinate

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, dtype: Any) -> None:
        warnings.warn("Superseded by strong typing", DeprecationWarning, stacklevel=2)
        self._precision = self._precision if self._obstinate else dtype

    def get_output(self, index: int) -> Any:
        return self._output

    def set_output_type(self, index: int, dtype: Any) -> None:
        self.output_types[index] = dtype.name


class Config:
    """Takes every flag but those that it is told to refuse."""

    def __init__(self, *refused: str) -> None:
        self.flags: set[str] = set()
        self._refused = refused

    def set_flag(self, flag: Any) -> None:
        self.flags |= {flag.name} - set(self._refused)

    def get_flag(self, flag: Any) -> bool:
        return flag.name in self.flags


def _network(*layers: Layer) -> Any:
    return SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])


def _constrain(*layers: Layer, keep: set[str], how: str = "obey", config: Config | None = None) -> int:
    with weak_typing.quietly():
        network, asked = _network(*layers), config or Config()
        return weak_typing.constrain(_vendor(*FLAGS), network, asked, frozenset(keep), how)


def test_every_precision_needs_the_flags_of_all_its_types() -> None:
    assert weak_typing.choices(_vendor(*FLAGS)) == tuple(weak_typing.FLAGS)
    found = _vendor("FP16", "INT8")
    assert weak_typing.choices(found) == ("weak_fp16", "weak_int8", "weak_int8_fp16")
    assert weak_typing.excluded(found)["weak_best"] == "this version of TensorRT has no builder flag BF16"


def test_a_type_that_the_gpu_lacks_is_not_offered_weakly_either() -> None:
    lacking = {"bf16": "it needs compute capability 8.0, and this GPU has 7.5"}
    out = weak_typing.excluded(_vendor(*FLAGS), lacking)
    assert out == dict.fromkeys(("weak_bf16", "weak_best"), lacking["bf16"])
    assert not set(out) & set(weak_typing.choices(_vendor(*FLAGS), lacking))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (_vendor(), "TensorRT 10"),
        (_vendor(*FLAGS, strong=False), "TensorRT 10"),
        # 1.4 has the flags and no calibrators
        (_vendor(*FLAGS, is_rtx=True), "TensorRT-RTX"),
    ],
    ids=["no flags", "no typing to leave out", "rtx"],
)
def test_missing_weak_typing_has_a_reason(found: Vendor, name: str) -> None:
    assert weak_typing.choices(found) == ()
    assert weak_typing.dimensions(found) == []
    said = f"{name} has no weakly typed networks; precision lives in the graph"
    assert weak_typing.excluded(found) == dict.fromkeys(weak_typing.FLAGS, said)


def test_a_layer_is_found_by_its_name_or_by_the_nodes_it_came_from() -> None:
    fused = Layer("conv + relu")
    fused.metadata = "[ONNX Layer: conv]\x1f[ONNX Layer: relu[0]]"
    assert weak_typing.nodes_of(fused) == {"conv + relu", "conv", "relu[0]"}
    assert weak_typing.nodes_of(Layer("(Unnamed Layer* 3) [Shuffle]")) == {"(Unnamed Layer* 3) [Shuffle]"}


def test_layers_of_the_nodes_to_keep_compute_and_give_fp32() -> None:
    named, marked, other = Layer("conv"), Layer("norm_12", node="norm"), Layer("relu")
    config = Config()
    assert _constrain(named, marked, other, keep={"conv", "norm"}, config=config) == 2
    assert config.flags == {"OBEY_PRECISION_CONSTRAINTS"}
    assert (named.precision, named.output_types) == (DTYPES.FLOAT, {0: "FLOAT"})
    assert (marked.precision, marked.output_types) == (DTYPES.FLOAT, {0: "FLOAT"})
    assert (other.precision, other.output_types) == (DTYPES.HALF, {})


def test_shapes_and_indices_of_a_kept_node_are_left_alone() -> None:
    shape, index = Layer("n", is_shape=True), Layer("n_1", node="n", dtype=DTYPES.INT64)
    assert _constrain(shape, index, Layer("n_2", node="n"), keep={"n"}) == 1
    assert not shape.output_types
    assert not index.output_types


def test_keeping_nothing_sets_no_flag() -> None:
    config = Config()
    assert _constrain(Layer("conv"), keep=set(), config=config) == 0
    assert config.flags == set()


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(EngineError, match="none of the 2 nodes to keep in FP32 is a layer of the network"):
        _constrain(Layer("conv"), keep={"gone", "folded"})
    with pytest.raises(EngineError, match="the builder does not keep 'conv' in FP32"):
        _constrain(Layer("conv", obstinate=True), keep={"conv"})
    config = Config("PREFER_PRECISION_CONSTRAINTS")
    with pytest.raises(EngineError, match="does not take the flag PREFER_PRECISION_CONSTRAINTS"):
        _constrain(Layer("conv"), keep={"conv"}, how="prefer", config=config)


def test_a_flag_that_is_not_given_back_is_refused() -> None:
    candidate = Candidate(Settings(precision="weak_int8_fp16"), Settings(precision_constraints="obey"))
    config = Config()
    assert weak_typing.allow(_vendor(*FLAGS), _network(), config, candidate, frozenset()) == {
        "typing": "weak"
    }
    assert config.flags == {"INT8", "FP16"}
    with pytest.raises(EngineError, match="the builder does not take the flag INT8"):
        weak_typing.allow(_vendor(*FLAGS), _network(), Config("INT8"), candidate, frozenset())


@pytest.mark.parametrize("kind", [LAYERS.QUANTIZE, LAYERS.DEQUANTIZE])
def test_a_network_that_brings_its_ranges_is_not_calibrated(kind: Any) -> None:
    plain, brought = _network(Layer("conv")), _network(Layer("conv"), Layer("q", kind=kind))
    found, settings = _vendor(*FLAGS), Settings(precision="weak_best")
    assert weak_typing.calibrates(found, plain, settings)
    assert not weak_typing.calibrates(found, brought, settings)
    assert not weak_typing.calibrates(found, plain, Settings(precision="weak_fp16"))


def test_vendor_deprecations_are_silenced_but_not_other_warnings() -> None:
    with weak_typing.quietly():
        Layer("conv").precision = DTYPES.FLOAT
    with pytest.warns(UserWarning, match="heard"), weak_typing.quietly():
        warnings.warn("heard", UserWarning, stacklevel=1)


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))


def test_only_a_weakly_typed_engine_depends_on_more_than_its_graph(workload: Workload) -> None:
    assert weak_typing.key(workload, Settings(precision="fp16")) == []
    settings = Settings(precision="weak_int8", calibration="entropy")
    keys = [
        weak_typing.key(workload, settings),
        weak_typing.key(workload, Settings({**settings, "precision": "weak_best"})),
        weak_typing.key(workload, Settings({**settings, "calibration": "minmax"})),
        weak_typing.key(replace(workload, keep_fp32=("Conv",)), settings),
        weak_typing.key(replace(workload, calibration=InputSource(file=file_at("a.npz", "1"))), settings),
    ]
    assert len({str(key) for key in keys}) == len(keys)


def test_the_smallest_type_allowed_is_what_layers_are_held_against() -> None:
    assert weak_typing.asked("weak_best") == "int8"
    assert weak_typing.asked("weak_bf16") == "bf16"
    assert weak_typing.asked("tf32") == "tf32"
