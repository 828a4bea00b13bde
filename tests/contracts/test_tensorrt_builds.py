"""What the builder of each version of TensorRT is told, over its real bindings, and what comes back."""

from typing import Any

from tests.contracts.versions import WEAK_FLAGS, Driven

POOLS = {
    "workspace_mib": ("pool.WORKSPACE", 1 << 20),
    "tactic_dram_mib": ("pool.TACTIC_DRAM", 1 << 20),
    "tactic_shared_memory_kib": ("pool.TACTIC_SHARED_MEMORY", 1 << 10),
}


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


def test_an_engine_of_several_profiles_runs_shapes_in_the_one_that_takes_them(driven: Driven) -> None:
    found = driven["profiles"]
    assert found["added"] == [[1, 2, 4], [5, 8, 16]]
    assert found["chosen"] == {"2": [], "8": [1, 1]}


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
