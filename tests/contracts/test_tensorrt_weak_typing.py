"""Weakly typed networks and their calibration, over the real bindings of each version of TensorRT."""

from typing import Any

import pytest

from tests.contracts.versions import VERSIONS, WEAK_FLAGS, Driven, drive

# a weakly typed network needs all of these
MISSED_WEAK = (
    "BuilderFlag.PREFER_PRECISION_CONSTRAINTS",
    "IBuilderConfig.int8_calibrator",
    "IBuilderConfig.set_calibration_profile",
    "IInt8MinMaxCalibrator",
    "ILayer.metadata",
    "ILayer.precision",
    "ILayer.set_output_type",
    "INetworkDefinition.get_layer",
    "ITensor.is_shape_tensor",
    "LayerType.QUANTIZE",
)


@pytest.fixture(scope="module", params=[of for of in VERSIONS if of[1].startswith("10.")], ids="-".join)
def weak(request: pytest.FixtureRequest) -> Driven:
    """What came of weakly typed builds over a version that has them."""
    backend, version = request.param
    driven = drive(backend, version, only=("weak",))
    assert driven["errors"] == {}
    found: Driven = driven["weak"]
    return found


@pytest.fixture(scope="module")
def lacking() -> Driven:
    """What comes of weakly typed builds where names of that are missing."""
    return drive("tensorrt", "10.16.1.11", without=MISSED_WEAK, only=("weak",))


def test_weakly_typed_networks_are_for_versions_that_have_them(driven: Driven) -> None:
    weak = driven["weak"]
    if driven["version"].startswith("10."):
        assert weak["choices"] == list(WEAK_FLAGS)
        assert (weak["reason"], weak["excluded"]) == ("", {})
        return
    name = "TensorRT-RTX" if driven["backend"] == "tensorrt-rtx" else "TensorRT 11"
    assert weak["choices"] == []
    assert weak["reason"] == f"{name} has no weakly typed networks; precision lives in the graph"
    assert weak["excluded"] == dict.fromkeys(WEAK_FLAGS, weak["reason"])


def test_constraints_are_searched_with_weakly_typed_networks_only(
    driven: Driven, space: dict[str, Any]
) -> None:
    choices = driven["weak"]["choices"]
    assert ("precision_constraints" in space) == bool(choices)
    if choices:
        found = space["precision_constraints"]
        assert (found["choices"], found["default"], found["kind"]) == (["obey", "prefer"], "obey", "build")
        assert found["applies_to"] == {"precision": choices}


@pytest.mark.parametrize("precision", WEAK_FLAGS)
def test_a_weakly_typed_network_is_allowed_its_types_but_for_the_layers_to_keep(
    weak: Driven, precision: str
) -> None:
    told, facts = weak["builds"][precision]["told"], weak["builds"][precision]["facts"]
    wanted = {f"flag.{name}": name in WEAK_FLAGS[precision] for name in ("FP16", "BF16", "INT8", "FP8")}
    assert told["network"] == []
    assert {name: told.get(name, False) for name in wanted} == wanted
    assert _constraints(told) == {"OBEY_PRECISION_CONSTRAINTS"}
    # not the constant, nor the shape that the flattening needs
    kept = {"conv", "flatten", "classify_5"}
    assert {name: of for name, of in told.items() if name.startswith(("precision.", "output."))} == {
        **{f"precision.{name}": "FLOAT" for name in kept},
        **{f"output.{name}.0": "FLOAT" for name in kept},
    }
    assert (facts["typing"], facts["fp32_layers"]) == ("weak", 3)


def test_layers_may_be_preferred_in_fp32_and_none_need_be(weak: Driven) -> None:
    assert _constraints(weak["builds"]["prefer"]["told"]) == {"PREFER_PRECISION_CONSTRAINTS"}
    nothing = weak["builds"]["nothing"]
    assert _constraints(nothing["told"]) == set()
    assert "fp32_layers" not in nothing["facts"]
    assert weak["builds"]["no layer"]["facts"] == {
        "refused": "none of the 1 nodes to keep in FP32 is a layer of the network"
    }


def test_a_calibrator_feeds_the_data_once_for_each_method(weak: Driven) -> None:
    entropy, again, minmax = (one["calibrations"] for one in weak["calibrated"])
    cold = {"known": "", "values": weak["fed"]}
    assert entropy == [{"algorithm": "ENTROPY_CALIBRATION_2", **cold}]
    assert again == [{"algorithm": "ENTROPY_CALIBRATION_2", "known": "TRT-10-Calibration", "values": []}]
    assert minmax == [{"algorithm": "MINMAX_CALIBRATION", **cold}]
    assert len(set(weak["fed"])) > 1
    assert weak["caches"] == ["calibration-entropy", "calibration-minmax"]
    facts = [one["facts"]["calibration_cache"] for one in weak["calibrated"]]
    assert facts == ["cold", "warm", "cold"]
    shapes = {"x": [[2, 3, 12, 12]] * 3}
    assert all(one["told"]["calibration_profile"] == shapes for one in weak["calibrated"])


def test_only_int8_is_calibrated(weak: Driven) -> None:
    calibrated = {name for name in WEAK_FLAGS if weak["builds"][name]["calibrations"]}
    assert calibrated == {name for name, flags in WEAK_FLAGS.items() if "INT8" in flags}


def test_a_build_that_cannot_be_calibrated_says_why(weak: Driven) -> None:
    percentile, lost = (one["facts"]["refused"] for one in weak["refused"])
    assert percentile == "TensorRT has no calibrator for percentile. It has entropy, minmax."
    assert "gone.npz" in lost
    assert "told" in weak["refused"][1]


def test_weakly_typed_engines_of_one_graph_are_engines_of_their_own(weak: Driven) -> None:
    keys = [str(one["key"]) for one in (*weak["builds"].values(), *weak["calibrated"])]
    # how layers are kept is a setting of the build
    assert len(set(keys)) == len(keys) - 1


@pytest.mark.parametrize("name", MISSED_WEAK)
def test_a_version_without_a_name_of_weak_typing_is_noticed(lacking: Driven, name: str) -> None:
    errors = lacking["without"][name]["errors"]
    assert any(name.rpartition(".")[2] in error for error in errors.values())


def _constraints(told: dict[str, Any]) -> set[str]:
    """The flags about constraints that are set."""
    names = ("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")
    return {name for name in names if told.get(f"flag.{name}")}
