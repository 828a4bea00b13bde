from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.inspect.layers import fingerprint

WIDE = ((1, 8, 12, 12), (2, 8, 12, 12), (4, 8, 12, 12))
HALF = "Channel major FP16 format where channel % 8 == 0"


def engine(shape: tuple[int, ...] = (-1, 8, 12, 12), profile: Any = WIDE, **more: int) -> Any:
    """An engine of one input and one output."""
    names = ("x", "y")

    def range_of(name: str, index: int) -> Any:
        # a real one has no range for an output, nor for what is fixed
        assert (name, index, min(shape) < 0) == ("x", 0, True)
        return profile

    return SimpleNamespace(
        **{"device_memory_size_v2": 4096, "num_aux_streams": 0, **more},
        num_io_tensors=len(names),
        get_tensor_name=names.__getitem__,
        get_tensor_mode=lambda name: SimpleNamespace(name="INPUT" if name == "x" else "OUTPUT"),
        get_tensor_shape=lambda _: shape,
        get_tensor_profile_shape=range_of,
    )


ENGINE = engine()


def tensor(name: str, type_: str = HALF) -> dict[str, Any]:
    return {"Name": name, "Dimensions": [2, 8, 12, 12], "Format/Datatype": type_}


def layers() -> list[dict[str, Any]]:
    return [
        {
            "Name": "conv + relu",
            "LayerType": "CaskConvolution",
            "Inputs": [tensor("x")],
            "Outputs": [tensor("c")],
            "TacticName": "sm90_xmma_fprop_implicit_gemm_f16f16",
            "TacticValue": "0x1234567890abcdef",
            "StreamId": 0,
            "Metadata": "[ONNX Layer: conv]",
        },
        {
            "Name": "Reformatting CopyNode for Output Tensor 0",
            "LayerType": "Reformat",
            "Inputs": [tensor("c")],
            "Outputs": [tensor("y", "Row major linear FP32")],
            "TacticValue": "0x0000000000000000",
        },
    ]


def changed(place: int, **fields: object) -> list[dict[str, Any]]:
    found = deepcopy(layers())
    found[place].update(fields)
    return found


def test_names_make_no_difference() -> None:
    other = changed(0, Name="another", Metadata="", Inputs=[tensor("a")], Outputs=[tensor("b")])
    other[1]["Inputs"], other[1]["Outputs"] = [tensor("b")], [tensor("z", "Row major linear FP32")]
    assert fingerprint(other, ENGINE) == fingerprint(layers(), ENGINE) is not None


@pytest.mark.parametrize(
    "other",
    [
        changed(0, TacticName="sm90_xmma_fprop_implicit_gemm_f16f16_tile128"),
        changed(0, TacticValue="0x1234567890abcdee"),
        changed(0, StreamId=1),
        changed(0, Inputs=[tensor("x", "Row major linear FP32")]),
        changed(1, Inputs=[tensor("x")]),
        layers()[:1],
    ],
    ids=["kernel", "variant", "stream", "type", "connection", "layers"],
)
def test_other_kernels_types_or_connections_do(other: list[dict[str, Any]]) -> None:
    assert fingerprint(other, ENGINE) not in (None, fingerprint(layers(), ENGINE))


@pytest.mark.parametrize(
    "other", [engine(device_memory_size_v2=8192), engine(num_aux_streams=2)], ids=["memory", "streams"]
)
def test_so_do_its_memory_and_its_streams(other: Any) -> None:
    assert fingerprint(layers(), other) != fingerprint(layers(), ENGINE)


@pytest.mark.parametrize(
    "other",
    [engine(profile=((2, 8, 12, 12),) * 3), engine((2, 8, 12, 12)), engine((4, 8, 12, 12))],
    ids=["range", "fixed", "fixed at another batch"],
)
def test_so_do_the_shapes_that_it_takes(other: Any) -> None:
    assert fingerprint(layers(), other) == fingerprint(layers(), other)
    prints = {fingerprint(layers(), one) for one in (ENGINE, engine((8, 8, 12, 12)), other)}
    assert len(prints) == 3


def test_older_name_of_device_memory_is_read_too() -> None:
    older = engine(device_memory_size=4096)
    del older.device_memory_size_v2
    assert fingerprint(layers(), older) == fingerprint(layers(), ENGINE)


@pytest.mark.parametrize(
    "unavailable",
    [
        [],
        [{"Name": "conv"}],
        changed(0, TacticName="__myelin_CASK_STUB_7"),
        changed(1, LayerType="Myelin"),
        changed(1, Name="{ForeignNode[a...b]}"),
    ],
    ids=["no layers", "names alone", "stub", "group", "foreign node"],
)
def test_an_engine_that_does_not_tell_its_kernels_has_none(unavailable: list[dict[str, Any]]) -> None:
    assert fingerprint(unavailable, ENGINE) is None
