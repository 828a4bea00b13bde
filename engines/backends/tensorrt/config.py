"""From build settings to the vendor's builder config."""

from collections.abc import Mapping
from typing import Any

from engines.backends.tensorrt.vendor import Vendor, as_text
from engines.errors import EngineError
from engines.values import Settings, ShapeRange, Value

MIB = 1 << 20
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


def apply(
    vendor: Vendor,
    config: Any,
    settings: Settings,
    *,
    tf32: bool,
    shapes: Mapping[str, ShapeRange],
    builder: Any,
) -> None:
    """Sets everything that the settings name; raises EngineError for what the builder does not take."""
    module = vendor.module
    # layers are explained with their types and tactics only then; it is the same for all, so it favours none
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    _set_flag(config, module.BuilderFlag.TF32, tf32)
    for name, value in settings.items():
        _apply_one(vendor, config, name, value)
    _add_profile(builder, config, shapes)


def _apply_one(vendor: Vendor, config: Any, name: str, value: Value) -> None:
    if name in ATTRIBUTES:
        # -1 stands for the builder's own choice where it cannot be set back
        if getattr(config, name) != value:
            setattr(config, name, value)
        _require(getattr(config, name) == value, name, value)
    elif name in ENUMS:
        member = vendor.member(ENUMS[name], str(value))
        setattr(config, name, member)
        _require(getattr(config, name) == member, name, value)
    elif name == "tactic_sources":
        names = () if value == "none" else str(value).split("+")
        _require(bool(config.set_tactic_sources(vendor.tactic_mask(names))), name, value)
    elif name == "workspace_mib":
        if value:
            config.set_memory_pool_limit(vendor.module.MemoryPoolType.WORKSPACE, int(value) * MIB)
    elif name.upper() in vendor.members("BuilderFlag"):
        _set_flag(config, vendor.member("BuilderFlag", name.upper()), bool(value))


def _set_flag(config: Any, flag: Any, wanted: bool) -> None:
    if wanted:
        config.set_flag(flag)
    else:
        config.clear_flag(flag)


def _add_profile(builder: Any, config: Any, shapes: Mapping[str, ShapeRange]) -> None:
    if not shapes:
        return
    profile = builder.create_optimization_profile()
    for name, asked in shapes.items():
        profile.set_shape(name, asked.minimum, asked.optimum, asked.maximum)
    if config.add_optimization_profile(profile) < 0:
        raise EngineError("the builder refused the optimization profile")


def _require(taken: bool, name: str, value: Value) -> None:
    if not taken:
        raise EngineError(f"the builder does not take {name}={as_text(value)}")
