"""The options of trtexec that stand for what a trial's builder and runtime were told.

Those that samples/common/sampleOptions.cpp of NVIDIA/TensorRT reads, in 10.15 and 11. TensorRT-RTX's
tensorrt_rtx documents some of its own; where it is silent its options are taken to be trtexec's.
"""

from collections.abc import Callable, Iterable, Mapping

from engines.backends.tensorrt.build.weak_typing import FLAGS as WEAK_FLAGS
from engines.core.values import Value
from engines.statistics.trtexec import Version

# name and value; None where an option has no value
Option = tuple[str, str | None]
# from a setting's value and its default
Mapper = Callable[[Value, Value], list[Option]]

TILING = ("NONE", "FAST", "MODERATE", "FULL")
COMPATIBILITY = {
    "NONE": "none",
    "AMPERE_PLUS": "ampere+",
    "SAME_COMPUTE_CAPABILITY": "sameComputeCapability",
}
# options that are given once, their values joined by commas
JOINED = ("memPoolSize", "preview")
# the option that turns each on, and the one that turns it off
RUN_SWITCHES = {
    "cuda_graph": ("useCudaGraph", "noCudaGraph"),
    "transfers": ("includeDataTransfers", "noDataTransfers"),
    "spin_wait": ("useSpinWait", "noSpinWait"),
}


def number(option: str) -> Mapper:
    """Return an option for values from 0 on; a negative one leaves the choice to the builder."""
    return lambda value, _: [(option, str(value))] if int(value) >= 0 else []


def changed(option: str) -> Mapper:
    """Return an option for every value but the default."""
    return lambda value, default: [(option, str(value))] if value != default else []


def switch(option: str, value_when_on: str | None = None) -> Mapper:
    """Return an option that is off unless given."""
    return lambda value, _: [(option, value_when_on)] if value else []


def pool(name: str, unit: str) -> Mapper:
    """Return a memory pool; 0 leaves it as it is."""
    return lambda value, _: [("memPoolSize", f"{name}:{value}{unit}")] if value else []


def feature(name: str) -> Mapper:
    """Return the option of a preview feature that differs from its default."""
    return lambda value, default: [("preview", f"{'+' if value else '-'}{name}")] if value != default else []


def _precision(value: Value, _: Value) -> list[Option]:
    """Types that a weakly typed network may use; the rest of it is in the graph."""
    if value == "fp32":
        return [("noTF32", None)]
    return [(flag.lower(), None) for flag in WEAK_FLAGS.get(str(value), ())]


def _constraints(value: Value, _: Value) -> list[Option]:
    return [("precisionConstraints", str(value))]


def _tactics(value: Value, default: Value) -> list[Option]:
    """Return the tactic sources added to the default, and those removed."""
    wanted, usual = (str(names).split("+") for names in (value, default))
    changes = [
        *(f"+{name}" for name in wanted if name not in usual),
        *(f"-{name}" for name in usual if name not in wanted),
    ]
    named = [change for change in changes if change[1:] != "none"]
    return [("tacticSources", ",".join(named))] if named else []


def _level(value: Value, default: Value) -> list[Option]:
    return [("tilingOptimizationLevel", str(TILING.index(str(value))))] if value != default else []


def _compatibility(value: Value, default: Value) -> list[Option]:
    return [("hardwareCompatibilityLevel", COMPATIBILITY[str(value)])] if value != default else []


def _native_norm(value: Value, _: Value) -> list[Option]:
    return [] if value else [("pluginInstanceNorm", None)]


# those of a weakly typed network, which ours are only where the precision says so
WEAK_ONLY = ("precision_constraints",)
MAPPERS: Mapping[str, Mapper] = {
    "precision": _precision,
    "precision_constraints": _constraints,
    "builder_optimization_level": number("builderOptimizationLevel"),
    "max_aux_streams": number("maxAuxStreams"),
    "max_num_tactics": number("maxTactics"),
    "avg_timing_iterations": number("avgTiming"),  # trtexec's default is not the builder's
    "tiling_optimization_level": _level,
    "l2_limit_for_tiling": changed("l2LimitForTiling"),
    "tactic_sources": _tactics,
    "hardware_compatibility_level": _compatibility,
    "workspace_mib": pool("workspace", "M"),
    "tactic_shared_memory_kib": pool("tacticSharedMem", "K"),
    "refit": switch("refit"),
    "sparse_weights": switch("sparsity", "enable"),
    "version_compatible": switch("versionCompatible"),
    "weight_streaming": switch("allowWeightStreaming"),
    "direct_io": switch("directIO"),
    "disable_compilation_cache": switch("noCompilationCache"),
    "distributive_independence": switch("distributiveIndependence"),  # read, though its help does not say so
    "enable_plugin_override": switch("enablePluginOverride"),
    "native_instancenorm": _native_norm,
    "preview_profile_sharing_0806": feature("profileSharing0806"),
    "preview_aliased_plugin_io_10_03": feature("aliasedPluginIO1003"),
    "preview_runtime_activation_resize_10_10": feature("runtimeActivationResize"),
    "kernel_specialization": lambda value, _: [("specializeStrategyDS", str(value))],
    "streams": lambda value, _: [("infStreams", str(value))] if int(value) > 1 else [],
}
# they decide the shapes, and which of two options is given
ELSEWHERE = ("profile", "batch", "cuda_graph")
# they made the graph that the line names
IN_GRAPH = ("keep_fp32", "calibration", "high_precision", "converter", "simplify")
# no option gives them; monitor_memory is taken for safe engines alone
NOT_IN_TRTEXEC = (
    "debug",
    "monitor_memory",
    "preview_multidevice_runtime_10_16",
    "refit_identical",
    "require_user_allocation",
    "strict_nans",
    "tactic_dram_mib",
)


def run_switches(wanted: Mapping[str, bool], of: Version) -> list[Option]:
    """Return the switches needed because this version has other defaults."""
    return [
        (RUN_SWITCHES[name][0 if value else 1], None)
        for name, value in wanted.items()
        if value != getattr(of, name)
    ]


def words(options: Iterable[Option]) -> list[str]:
    """Return the options as they are typed."""
    joined: dict[str, list[str]] = {}
    found = []
    for name, value in options:
        if name in JOINED and value is not None:
            joined.setdefault(name, []).append(value)
        else:
            found.append(f"--{name}" if value is None else f"--{name}={value}")
    return found + [f"--{name}={','.join(values)}" for name, values in joined.items()]
