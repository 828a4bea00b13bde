"""The backend over the real bindings of each version that it is for, without their libraries.

Every name, member, argument and type that the code uses is held against the version's own classes.
"""

import pytest

from engines.backends.tensorrt.run.lane import DTYPES
from tests.contracts.versions import STREAMS, VERSIONS, Driven, drive

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


def test_all_that_the_backend_uses_exists_in_this_version(
    driven: Driven, request: pytest.FixtureRequest
) -> None:
    assert driven["version"] in request.node.name
    assert driven["errors"] == {}


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_a_version_that_lacks_a_name_is_noticed(backend: str) -> None:
    """Proves that the other tests can fail: each name is hidden in turn from the newest version."""
    newest = [version for name, version in VERSIONS if name == backend][-1]
    driven = drive(backend, newest, without=(*MISSED, *ASKED_FOR))
    assert driven["errors"] == {}
    for name in MISSED:
        errors = driven["without"][name]["errors"]
        member = name.rpartition(".")[2]
        assert any(member in error for error in errors.values()), name
    for name, gone in ASKED_FOR.items():
        assert driven["without"][name] == {"errors": {}, "gone": gone}


def test_a_gpu_is_shared_by_turns_and_building_needs_it_where_kernels_are_timed(driven: Driven) -> None:
    assert driven["shared"] == {"name": "GPU-1a2b", "builds": driven["backend"] == "tensorrt"}


def test_a_gpu_is_a_device_by_its_own_name(driven: Driven) -> None:
    device = driven["device"]
    assert (device["uuid"], device["kind"], device["index"]) == ("GPU-1a2b", "gpu", 0)


def test_messages_of_every_severity_are_logged(driven: Driven) -> None:
    assert driven["log"] == ["[F] said", "[E] said", "[W] said", "[I] said", "[V] said"]


def test_types_of_tensors_go_by_the_versions_names(driven: Driven) -> None:
    assert set(DTYPES) <= set(driven["enums"]["DataType"])


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


def _streams(what: str) -> int:
    name, _, value = what.partition("=")
    return int(value) if name == "streams" else 1
