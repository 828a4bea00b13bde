"""Builder and parser options that are not searched but may be fixed, asked of the module by name."""

from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build.config import POOLS, PREVIEW
from engines.core.values import Dimension, Workload

ABOUT_POOLS = {
    "tactic_dram_mib": "host memory that trying tactics may take, in MiB; 0 is the default",
    "tactic_shared_memory_kib": "shared memory of a kernel in KiB; 0 is all there is",
}


SPARSE = "SPARSE_WEIGHTS"


def sparse_weights(vendor: Vendor, workload: Workload) -> list[Dimension]:
    """Kernels for weights that are 2:4 sparse: searched where the model's are, else only to be fixed."""
    if SPARSE not in vendor.builder_flags():
        return []
    from engines.graphs.passes.sparsity import is_sparse

    name, about = SPARSE.lower(), "kernels for weights of which two in four are zero"
    choices = (False, True) if is_sparse(workload.model.file.path) else (False,)
    return [Dimension(name, "build", choices, False, about, fixable=(False, True))]


def fixable_options(vendor: Vendor, config: Any, parser: Any) -> list[Dimension]:
    """A dimension of one choice, the module's default, for each option; `config` and `parser` are fresh."""
    return [
        *_compatibility(vendor, config),
        *_tiling_limit(vendor, config),
        *_pools(vendor),
        *(
            _switch(name.lower(), False, f"the builder flag {name}")
            for name in vendor.builder_flags()
            if name != SPARSE
        ),
        *_previews(vendor, config),
        *_parser_flags(vendor, parser),
    ]


def _switch(name: str, default: bool, about: str) -> Dimension:
    return Dimension(name, "build", (default,), default, about, fixable=(False, True))


def _compatibility(vendor: Vendor, config: Any) -> list[Dimension]:
    name, names = "hardware_compatibility_level", vendor.members("HardwareCompatibilityLevel")
    if not names or not vendor.honours(name) or not hasattr(config, name):
        return []
    about = "other GPUs that the engine must run on"
    return [Dimension(name, "build", ("NONE",), "NONE", about, fixable=names)]


def _tiling_limit(vendor: Vendor, config: Any) -> list[Dimension]:
    name = "l2_limit_for_tiling"
    if not vendor.honours(name) or not hasattr(config, name):
        return []
    default = int(getattr(config, name))
    about = "bytes of L2 cache that tiling may use"
    return [Dimension(name, "build", (default,), default, about, any_integer=True)]


def _pools(vendor: Vendor) -> list[Dimension]:
    known = vendor.members("MemoryPoolType")
    return [
        Dimension(name, "build", (0,), 0, about, any_integer=True)
        for name, about in ABOUT_POOLS.items()
        if vendor.honours(name) and POOLS[name][0] in known
    ]


def _previews(vendor: Vendor, config: Any) -> list[Dimension]:
    return [
        _switch(
            PREVIEW + name.lower(),
            bool(config.get_preview_feature(vendor.member("PreviewFeature", name))),
            f"the preview feature {name}",
        )
        for name in vendor.members("PreviewFeature")
    ]


def _parser_flags(vendor: Vendor, parser: Any) -> list[Dimension]:
    return [
        _switch(
            name.lower(),
            bool(parser.get_flag(vendor.member("OnnxParserFlag", name))),
            f"the parser's flag {name}",
        )
        for name in vendor.parser_flags()
    ]
