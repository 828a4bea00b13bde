"""Handle differences between TensorRT 10, 11 and TensorRT-RTX by probing the module, not by its version.

Settings are stored by name, because the integers of the same names differ between versions.
"""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engines.core.errors import UserError

# types that a network of TensorRT 10 could be allowed to use; in 11 precision lives in the graph
WEAK_TYPES = {"FP16", "BF16", "INT8", "FP8", "INT4", "FP4"}
# flags that other parts of this backend set, that are void, or that need what a tuner does not have:
# a deep learning accelerator, weights from elsewhere, another runtime, or its own edits of the timing cache
NO_DIMENSION = WEAK_TYPES | {
    "TF32",
    "OBEY_PRECISION_CONSTRAINTS",
    "PREFER_PRECISION_CONSTRAINTS",
    "REJECT_EMPTY_ALGORITHMS",
    "WEIGHTLESS",
    "SAFETY_SCOPE",
    "GPU_FALLBACK",
    "STRIP_PLAN",
    "REFIT_INDIVIDUAL",
    "EXCLUDE_LEAN_RUNTIME",
    "DISABLE_TIMING_CACHE",
    "EDITABLE_TIMING_CACHE",
    "ERROR_ON_TIMING_CACHE_MISS",
}
# byte-identical engines whatever these are set to: TensorRT-RTX 1.6 and 1.7, seen on a CPU and on an H200;
# even asking for some of them is logged as an error
RTX_IGNORES = {
    "builder_optimization_level",
    "tactic_sources",
    "tiling_optimization_level",
    "max_num_tactics",
    "avg_timing_iterations",
    "l2_limit_for_tiling",
    "hardware_compatibility_level",
    "tactic_dram_mib",
}


@dataclass(frozen=True)
class Vendor:
    """An imported module, `tensorrt` or `tensorrt_rtx`, and what it is."""

    name: str
    module: Any
    is_rtx: bool

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def honours(self, option: str) -> bool:
        """Whether a builder option that can be set does anything."""
        return not (self.is_rtx and option in RTX_IGNORES)

    def members(self, enum: str) -> tuple[str, ...]:
        """The names of an enum in this version; none where it does not exist."""
        return tuple(getattr(getattr(self.module, enum, None), "__members__", ()))

    def member(self, enum: str, name: str) -> Any:
        return getattr(getattr(self.module, enum), name)

    def builder_flags(self) -> tuple[str, ...]:
        """The builder flags that may be set by name."""
        return tuple(name for name in self.members("BuilderFlag") if name not in NO_DIMENSION)

    def parser_flags(self) -> tuple[str, ...]:
        """The parser's flags that may be set by name; none on TensorRT-RTX, which has no plugins."""
        flags = () if self.is_rtx else self.members("OnnxParserFlag")
        return tuple(name for name in flags if "DLA" not in name)

    def tactic_names(self, mask: int) -> tuple[str, ...]:
        """The tactic sources in a bit mask."""
        sources = self.members("TacticSource")
        return tuple(name for name in sources if mask & (1 << int(self.member("TacticSource", name))))

    def tactic_mask(self, names: Iterable[str]) -> int:
        return sum(1 << int(self.member("TacticSource", name)) for name in names)


def load_vendor(name: str) -> Vendor:
    """Return the module for a backend's name; raises UserError if it cannot be loaded."""
    module = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}[name]
    try:
        return Vendor(name, importlib.import_module(module), is_rtx=name == "tensorrt-rtx")
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"{module} is installed but cannot be loaded: {error}",
            "Check that its libraries and the NVIDIA driver are installed.",
        ) from error
