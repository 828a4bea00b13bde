"""Apply build settings to the vendor's builder config."""

from collections.abc import Mapping, Sequence
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.core.errors import EngineError
from engines.core.values import Settings, ShapeRange, Value, text_of

KIB, MIB = 1 << 10, 1 << 20
# set by name on the config; the rest have functions of their own
ATTRIBUTES = (
    "builder_optimization_level",
    "max_aux_streams",
    "max_num_tactics",
    "avg_timing_iterations",
    "l2_limit_for_tiling",
)
ENUMS = {
    "tiling_optimization_level": "TilingOptimizationLevel",
    "hardware_compatibility_level": "HardwareCompatibilityLevel",
}
# the memory pool of each, and the bytes of its unit
POOLS = {
    "workspace_mib": ("WORKSPACE", MIB),
    "tactic_dram_mib": ("TACTIC_DRAM", MIB),
    "tactic_shared_memory_kib": ("TACTIC_SHARED_MEMORY", KIB),
}
PREVIEW = "preview_"


def apply(
    vendor: Vendor,
    config: Any,
    settings: Settings,
    *,
    tf32: bool,
    profiles: Sequence[Mapping[str, ShapeRange]],
    builder: Any,
) -> None:
    """Set everything that the settings name; raises EngineError for a value that the builder refuses."""
    module = vendor.module
    # layers are explained with their types and tactics only then; it is the same for all, so it favours none
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    set_flag(config, module.BuilderFlag.TF32, tf32)
    for name, value in settings.items():
        try:
            taken = _apply_one(vendor, config, name, value)
        except (TypeError, ValueError):  # out of the range of the vendor's integer
            taken = False
        if not taken:
            raise EngineError(f"the builder refused {name}={text_of(value)}")
    for ranges in profiles:
        _add_profile(builder, config, ranges)


def _apply_one(vendor: Vendor, config: Any, name: str, value: Value) -> bool:
    """Sets one option and reads it back; whether it was taken. What is no option of the config is passed."""
    if name in ATTRIBUTES:
        return _set(config, name, value)
    if name in ENUMS:
        return _set(config, name, vendor.member(ENUMS[name], str(value)))
    if name == "tactic_sources":
        names = () if value == "none" else str(value).split("+")
        return bool(config.set_tactic_sources(vendor.tactic_mask(names)))
    if name in POOLS:
        return _set_pool(vendor, config, name, int(value))
    return _switch(vendor, config, name, wanted=bool(value))


def _switch(vendor: Vendor, config: Any, name: str, *, wanted: bool) -> bool:
    feature = name.removeprefix(PREVIEW).upper()
    if name.startswith(PREVIEW):
        member = vendor.member("PreviewFeature", feature)
        config.set_preview_feature(member, wanted)
        return bool(config.get_preview_feature(member) == wanted)
    if feature in vendor.members("BuilderFlag"):
        return set_flag(config, vendor.member("BuilderFlag", feature), wanted)
    return True


def _set(config: Any, name: str, value: Any) -> bool:
    # a default that leaves the choice to the builder, such as -1, cannot be set
    if getattr(config, name) != value:
        setattr(config, name, value)
    return bool(getattr(config, name) == value)


def _set_pool(vendor: Vendor, config: Any, name: str, units: int) -> bool:
    """0 leaves the pool as it is."""
    pool, unit = POOLS[name]
    if units:
        config.set_memory_pool_limit(vendor.member("MemoryPoolType", pool), units * unit)
    return units >= 0


def set_flag(config: Any, flag: Any, wanted: bool) -> bool:
    """Set or clear a builder flag; returns whether the builder accepted it."""
    if wanted:
        config.set_flag(flag)
    else:
        config.clear_flag(flag)
    return bool(config.get_flag(flag) == wanted)


def _add_profile(builder: Any, config: Any, shapes: Mapping[str, ShapeRange]) -> None:
    if not shapes:
        return
    profile = builder.create_optimization_profile()
    for name, asked in shapes.items():
        profile.set_shape(name, asked.minimum, asked.optimum, asked.maximum)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError("the builder refused the optimization profile")
