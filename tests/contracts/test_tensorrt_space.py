"""The space of each version of TensorRT, over its real bindings."""

from typing import Any

from tests.contracts.versions import STREAMS, Driven

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


def test_every_other_flag_and_feature_can_be_fixed(driven: Driven, space: dict[str, Any]) -> None:
    flags = {name.lower() for name in driven["enums"]["BuilderFlag"]} - NOT_OFFERED
    assert {"sparse_weights", "strict_nans", "distributive_independence", "refit"} <= flags & set(space)
    previews = {f"preview_{name.lower()}" for name in driven["enums"]["PreviewFeature"]}
    assert previews <= set(space)
    for name in (flags & set(space)) | previews:
        assert space[name]["fixable"] == [False, True], name


def _subsets(sources: list[str]) -> set[frozenset[str]]:
    found = {frozenset[str]()}
    for source in sources:
        found |= {subset | {source} for subset in found}
    return found
