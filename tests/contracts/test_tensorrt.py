"""The backend over the real bindings of each version that it is for, without their libraries.

Every name, member, argument and type that the code uses is held against the version's own classes.
"""

from typing import Any

import pytest

from engines.backends.tensorrt.lane import DTYPES
from tests.contracts.bindings import fetch

# a new version is a line here
VERSIONS = (
    ("tensorrt", "10.13.2.6"),
    ("tensorrt", "10.16.1.11"),
    ("tensorrt", "11.4.0.106"),
    ("tensorrt-rtx", "1.4.0.76"),
    ("tensorrt-rtx", "1.6.1.120"),
    ("tensorrt-rtx", "1.7.1.116"),
)
STREAMS = [1, 2, 3, 4, 6, 8]
BOTH = {
    "profile": ["wide", "narrow", "static"],
    "max_aux_streams": [-1, 0, 1, 2, 4],
    "workspace_mib": [0, 256, 1024],
    "batch": [1, 2, 4, 8, 16, 32, 64],
    "cuda_graph": [False, True],
    "streams": STREAMS,
}
SEARCHED = {
    "tensorrt": {
        **BOTH,
        "builder_optimization_level": [0, 1, 2, 3, 4, 5],
        "max_num_tactics": [-1, 1, 8, 32],
        "avg_timing_iterations": [1, 4, 8],
        "tiling_optimization_level": ["NONE", "FAST", "MODERATE", "FULL"],
    },
    "tensorrt-rtx": {**BOTH, "kernel_specialization": ["eager", "none"]},
}
DEFAULTS = {
    "profile": "wide",
    "builder_optimization_level": 3,
    "max_aux_streams": -1,
    "max_num_tactics": -1,
    "avg_timing_iterations": 1,
    "tiling_optimization_level": "NONE",
    "tactic_sources": "EDGE_MASK_CONVOLUTIONS+JIT_CONVOLUTIONS",
    "workspace_mib": 0,
    "kernel_specialization": "eager",
    "cuda_graph": False,
    "streams": 1,
    "batch": 2,
}
WEAK_TYPES = {"fp16", "bf16", "int8", "fp8", "int4", "fp4"}
# what would make an engine that cannot run or cannot be right, or that this backend decides itself
NOT_OFFERED = WEAK_TYPES | {"tf32", "strip_plan", "weightless", "refit_individual", "gpu_fallback"}
POOLS = {
    "workspace_mib": ("pool.WORKSPACE", 1 << 20),
    "tactic_dram_mib": ("pool.TACTIC_DRAM", 1 << 20),
    "tactic_shared_memory_kib": ("pool.TACTIC_SHARED_MEMORY", 1 << 10),
}
WEAK_FLAGS = {
    "weak_fp16": {"FP16"},
    "weak_bf16": {"BF16"},
    "weak_int8": {"INT8"},
    "weak_fp8": {"FP8"},
    "weak_int8_fp16": {"INT8", "FP16"},
    "weak_best": {"INT8", "FP16", "BF16"},
}
# of which a weakly typed network needs all
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
# one of each sort, none of which the code may do without unnoticed
MISSED = (
    "Builder",
    "BuilderFlag.TF32",
    "IBuilderConfig.profiling_verbosity",
    "IBuilderConfig.set_flag",
    "IExecutionContext.execute_async_v3",
    "IOptimizationProfile.set_shape",
    "IProgressMonitor",
    "ParserError.desc",
    "Runtime.deserialize_cuda_engine",
    "TensorLocation.HOST",
)
# what the code asks for: without it, a dimension is gone and nothing breaks
ASKED_FOR = {
    "BuilderFlag.SPARSE_WEIGHTS": ["sparse_weights"],
    "IBuilderConfig.max_aux_streams": ["max_aux_streams"],
    "MemoryPoolType.TACTIC_SHARED_MEMORY": ["tactic_shared_memory_kib"],
    "PreviewFeature.ALIASED_PLUGIN_IO_10_03": ["preview_aliased_plugin_io_10_03"],
}

Driven = dict[str, Any]


@pytest.fixture(scope="module", params=VERSIONS, ids="-".join)
def driven(request: pytest.FixtureRequest) -> Driven:
    """What came of driving the backend over a version."""
    backend, version = request.param
    return _drive(backend, version)


@pytest.fixture(scope="module", params=[of for of in VERSIONS if of[1].startswith("10.")], ids="-".join)
def weak(request: pytest.FixtureRequest) -> Driven:
    """What came of weakly typed builds over a version that has them."""
    backend, version = request.param
    driven = _drive(backend, version, only=("weak",))
    assert driven["errors"] == {}
    found: Driven = driven["weak"]
    return found


@pytest.fixture(scope="module")
def lacking() -> Driven:
    """What comes of weakly typed builds where names of that are missing."""
    return _drive("tensorrt", "10.16.1.11", without=MISSED_WEAK, only=("weak",))


@pytest.fixture
def space(driven: Driven) -> dict[str, Any]:
    """The dimensions for a network with a convolution, by name."""
    return {one["name"]: one for one in driven["spaces"]["conv"]}


def _drive(backend: str, version: str, without: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> Driven:
    job = {"backend": backend, "without": without, "only": only}
    return {"backend": backend, **fetch(backend, version).run("tests.contracts.drive", job)}


def test_all_that_the_backend_uses_exists_in_this_version(
    driven: Driven, request: pytest.FixtureRequest
) -> None:
    assert driven["version"] in request.node.name
    assert driven["errors"] == {}


def test_a_gpu_is_shared_by_turns_and_building_needs_it_where_kernels_are_timed(driven: Driven) -> None:
    assert driven["shared"] == {"name": "GPU-1a2b", "builds": driven["backend"] == "tensorrt"}


def test_what_is_searched_is_what_this_version_honours(driven: Driven, space: dict[str, Any]) -> None:
    searched = {name: one["choices"] for name, one in space.items() if name in DEFAULTS}
    searched.pop("tactic_sources", None)
    assert searched == SEARCHED[driven["backend"]]
    others = [one for name, one in space.items() if name not in DEFAULTS and one["kind"] != "graph"]
    assert all(len(one["choices"]) == 1 for one in others if one["name"] != "precision_constraints")


def test_defaults_are_the_versions_own(space: dict[str, Any]) -> None:
    assert {name: one["default"] for name, one in space.items() if name in DEFAULTS} == {
        name: default for name, default in DEFAULTS.items() if name in space
    }


def test_tactic_sources_are_the_subsets_of_what_the_version_has(
    driven: Driven, space: dict[str, Any]
) -> None:
    sources = driven["enums"]["TacticSource"]
    if driven["backend"] == "tensorrt-rtx":
        assert "tactic_sources" not in space
        return
    choices = space["tactic_sources"]["choices"]
    assert {frozenset(choice.split("+")) - {"none"} for choice in choices} == _subsets(sources)
    assert len(choices) == 2 ** len(sources)
    (plain,) = [one for one in driven["spaces"]["dense"] if one["name"] == "tactic_sources"]
    # as those of TensorRT 11 do, which decide nothing where there is no convolution
    only_convolutions = all("CONVOLUTIONS" in source for source in sources)
    assert plain["choices"] == ([plain["default"]] if only_convolutions else choices)


def test_no_flag_for_precision_is_offered(driven: Driven, space: dict[str, Any]) -> None:
    """Not even where there are some, as in TensorRT 10."""
    assert set(space) & NOT_OFFERED == set()
    had = {name.lower() for name in driven["enums"]["BuilderFlag"]} & WEAK_TYPES
    assert had or not driven["version"].startswith("10.")


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


def test_every_other_flag_and_feature_can_be_fixed(driven: Driven, space: dict[str, Any]) -> None:
    flags = {name.lower() for name in driven["enums"]["BuilderFlag"]} - NOT_OFFERED
    assert {"sparse_weights", "strict_nans", "distributive_independence", "refit"} <= flags & set(space)
    previews = {f"preview_{name.lower()}" for name in driven["enums"]["PreviewFeature"]}
    assert previews <= set(space)
    for name in (flags & set(space)) | previews:
        assert space[name]["fixable"] == [False, True], name


def test_networks_are_strongly_typed_where_that_must_be_said(driven: Driven) -> None:
    known = driven["enums"]["NetworkDefinitionCreationFlag"]
    assert driven["builds"][0]["told"]["network"] == [name for name in known if name == "STRONGLY_TYPED"]
    assert "STRONGLY_TYPED" in known or not driven["version"].startswith("10.")


def test_what_is_chosen_or_fixed_reaches_the_builder_and_nothing_else_changes(driven: Driven) -> None:
    baseline, *others = driven["builds"]
    assert len(others) > 30
    for one in others:
        name, value, told = one["name"], one["value"], one["told"]
        if (one["kind"] == "graph" and name != "precision") or name == "precision_constraints":
            assert told == baseline["told"], (name, value)
        elif name in ("profile", "batch"):
            profile = told["profile"]
            assert profile != baseline["told"]["profile"], (name, value)
            assert {**told, "profile": None} == {**baseline["told"], "profile": None}
        else:
            assert told == {**baseline["told"], **_expected(driven, name, value)}, (name, value)


def test_profiles_are_built_around_the_shapes_asked_for(driven: Driven) -> None:
    ranges = {
        one["value"]: [shape[0] for shape in one["told"]["profile"]["x"]]
        for one in driven["builds"]
        if one["name"] in ("", "profile", "batch")
    }
    assert ranges[0] == [1, 2, 8]
    assert ranges["narrow"] == [1, 2, 4]
    assert ranges["static"] == [2, 2, 2]
    assert ranges[64] == [1, 64, 256]


def test_plugins_are_loaded_and_serialized_when_asked(driven: Driven) -> None:
    plugins = driven["plugins"]
    assert len(plugins["loaded"]) == 1
    assert plugins["told"]["plugins_to_serialize"] == plugins["loaded"]
    assert plugins["told"]["builder_threads"] == 3
    baseline = driven["builds"][0]["told"]
    assert "plugins_to_serialize" not in baseline
    assert baseline["builder_threads"] == 1


def test_another_version_of_a_plugin_makes_another_engine(driven: Driven) -> None:
    without, empty, same, another = driven["plugins"]["keys"]
    assert empty == same
    assert without != empty != another != without


def test_messages_of_every_severity_are_logged(driven: Driven) -> None:
    assert driven["log"] == ["[F] said", "[E] said", "[W] said", "[I] said", "[V] said"]


def test_types_of_tensors_go_by_the_versions_names(driven: Driven) -> None:
    assert set(DTYPES) <= set(driven["enums"]["DataType"])


def test_refusals_say_what_the_library_says(driven: Driven) -> None:
    assert driven["parser"] == (
        "the parser refused Det 'det_1' (not supported); "
        "Frobnicate (node 1) (Op type Frobnicate is not known)"
    )
    assert driven["silence"] == "the vendor's library gives no reason"


def test_the_timing_cache_is_cold_then_warm_and_cold_when_refused(driven: Driven) -> None:
    facts = [(of.get("timing_cache"), of.get("timing_cache_growth_bytes")) for of in driven["caches"]]
    if driven["backend"] == "tensorrt-rtx":
        assert facts == [(None, None)] * 3
    else:
        growth = facts[0][1]
        assert growth > 0
        assert facts == [("cold", growth), ("warm", 0), ("cold", growth)]


def test_types_of_layers_are_read_back_and_held_against_what_was_asked_for(driven: Driven) -> None:
    for one in driven["builds"]:
        assert one["facts"]["layer_types"] == "fp32:2"
        lowered = one["name"] == "precision" and one["value"] not in ("fp32", "int4")
        assert one["facts"]["precision_as_asked"] != lowered, one["value"]


def test_the_gpu_is_read_between_blocks(driven: Driven) -> None:
    reading = driven["reading"]
    assert reading["values"] == {
        "clock_mhz": 1755,
        "memory_clock_mhz": 1755,
        "temperature_c": 41,
        "power_w": 310.0,
    }
    assert reading["throttled_by"] == ["sw_power_cap"]


def test_every_way_to_run_runs(driven: Driven) -> None:
    runs = driven["runs"]
    assert {f"streams={count}" for count in STREAMS} <= set(runs)
    assert {"cuda_graph=True", "transfers=True", "cold=True", "spin_wait=False", "parts=True"} <= set(runs)
    assert ("kernel_specialization=none" in runs) == (driven["backend"] == "tensorrt-rtx")
    assert {what: samples for what, samples in runs.items() if samples != _streams(what)} == {}


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_a_version_that_lacks_a_name_is_noticed(backend: str) -> None:
    """Proves that the other tests can fail: each name is hidden in turn from the newest version."""
    newest = [version for name, version in VERSIONS if name == backend][-1]
    driven = _drive(backend, newest, without=(*MISSED, *ASKED_FOR))
    assert driven["errors"] == {}
    for name in MISSED:
        errors = driven["without"][name]["errors"]
        member = name.rpartition(".")[2]
        assert any(member in error for error in errors.values()), name
    for name, gone in ASKED_FOR.items():
        assert driven["without"][name] == {"errors": {}, "gone": gone}


@pytest.mark.parametrize("name", MISSED_WEAK)
def test_a_version_without_a_name_of_weak_typing_is_noticed(lacking: Driven, name: str) -> None:
    errors = lacking["without"][name]["errors"]
    assert any(name.rpartition(".")[2] in error for error in errors.values())


def _constraints(told: dict[str, Any]) -> set[str]:
    """The flags about constraints that are set."""
    names = ("OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS")
    return {name for name in names if told.get(f"flag.{name}")}


def _subsets(sources: list[str]) -> set[frozenset[str]]:
    found = {frozenset[str]()}
    for source in sources:
        found |= {subset | {source} for subset in found}
    return found


def _expected(driven: Driven, name: str, value: Any) -> dict[str, Any]:
    """What a setting changes of what the builder is told."""
    if name == "precision":  # the rest of it is in the graph
        return _weakly_typed(value) if value in WEAK_FLAGS else {"flag.TF32": value != "fp32"}
    if name in POOLS:
        pool, unit = POOLS[name]
        return {pool: value * unit}
    if name == "tactic_sources":
        return {f"tactic.{one}": one in value.split("+") for one in driven["enums"]["TacticSource"]}
    if name.startswith("preview_"):
        return {f"preview.{name.removeprefix('preview_').upper()}": value}
    for kind, enum in (("flag", "BuilderFlag"), ("parser", "OnnxParserFlag")):
        if name.upper() in driven["enums"][enum]:
            return {f"{kind}.{name.upper()}": value}
    return {name: value}


def _weakly_typed(precision: str) -> dict[str, Any]:
    flags = WEAK_FLAGS[precision]
    shapes = {"calibration_profile": {"x": [[2, 3, 12, 12]] * 3}} if "INT8" in flags else {}
    return {"network": [], **{f"flag.{flag}": True for flag in flags}, **shapes}


def _streams(what: str) -> int:
    name, _, value = what.partition("=")
    return int(value) if name == "streams" else 1
