"""The dimensions of TensorRT and TensorRT-RTX, each offered only where this module honours it.

Setting and reading back is not enough to know: TensorRT-RTX takes most builder options and builds the same
bytes whatever they are. What was seen to do nothing there is listed by name.
"""

import itertools
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build import weak_typing
from engines.backends.tensorrt.build.fixed_options import fixable_options, sparse_weights
from engines.core.values import Dimension, Workload
from engines.graphs.dimensions import Target
from engines.shapes.plan import batch_choices

LEVELS = (0, 1, 2, 3, 4, 5)
STREAMS = (1, 2, 3, 4, 6, 8)
LARGEST_BATCH = 64
CONVOLUTIONS = {"Conv", "ConvTranspose"}


def dimensions(
    vendor: Vendor, config: Any, parser: Any, workload: Workload, concurrent: bool
) -> tuple[Dimension, ...]:
    """The dimensions of building and running; `config` and `parser` are fresh ones to probe."""
    searched = [*_searched(vendor, config, workload), *weak_typing.dimensions(vendor)]
    built = [*searched, *sparse_weights(vendor, workload), *fixable_options(vendor, config, parser)]
    run = [*_specialization(vendor), *_run(workload, concurrent)]
    return (_profile(workload), *built, *run)


def target(vendor: Vendor, capability: float | None) -> Target:
    """The graphs for a GPU of a compute capability; None, where there is no GPU, offers all."""
    needs = {"tf32": 8.0, "bf16": 8.0, "fp8": 8.9}
    excluded = {
        name: f"it needs compute capability {least:.1f}, and this GPU has {capability:.1f}"
        for name, least in needs.items()
        if capability is not None and capability < least
    }
    return Target(
        plain=tuple(name for name in ("tf32", "fp32") if name not in excluded),
        lowered=tuple(name for name in ("fp16", "bf16", "int8", "fp8", "int4") if name not in excluded),
        elsewhere=weak_typing.choices(vendor, excluded),
        excluded={**excluded, **weak_typing.excluded(vendor, excluded)},
        high_precision=tuple(name for name in ("fp16", "bf16", "fp32") if name not in excluded),
    )


def _profile(workload: Workload) -> Dimension:
    about = "range of shapes that the engine takes"
    if all(isinstance(size, int) for facts in workload.model.inputs for size in facts.shape):
        return Dimension("profile", "build", ("static",), "static", about)
    if _has_ranges(workload):
        return Dimension("profile", "build", ("given",), "given", about)
    return Dimension("profile", "build", ("wide", "narrow", "static"), "wide", about)


def _has_ranges(workload: Workload) -> bool:
    """Whether the user gave a range of shapes, and not just one."""
    return any(of.minimum != of.maximum for one in workload.plan.profiles for of in one.ranges.values())


def _searched(vendor: Vendor, config: Any, workload: Workload) -> list[Dimension]:
    found = [
        _attribute(
            vendor, config, "builder_optimization_level", LEVELS, "effort of the builder", any_integer=False
        ),
        _attribute(
            vendor,
            config,
            "max_aux_streams",
            (-1, 0, 1, 2, 4),
            "streams inside one inference; -1 leaves it to the builder",
        ),
        _attribute(
            vendor,
            config,
            "max_num_tactics",
            (-1, 1, 8, 32),
            "tactics timed for a layer; -1 leaves it to the builder",
        ),
        _attribute(vendor, config, "avg_timing_iterations", (1, 4, 8), "times that a tactic is timed"),
        _tiling(vendor, config),
        _tactics(vendor, config, workload),
        Dimension(
            "workspace_mib",
            "build",
            (0, 256, 1024),
            0,
            "scratch memory of a tactic in MiB; 0 is all there is",
            any_integer=True,
        ),
    ]
    return [one for one in found if one is not None]


def _attribute(
    vendor: Vendor, config: Any, name: str, choices: tuple[int, ...], about: str, *, any_integer: bool = True
) -> Dimension | None:
    """An option that takes what it is given; the choices that it does not give back are left out."""
    if not vendor.honours(name) or not hasattr(config, name):
        return None
    default = int(getattr(config, name))
    honoured = tuple(choice for choice in choices if choice != default and _takes(config, name, choice))
    kept = tuple(sorted({*honoured, default}))
    return Dimension(name, "build", kept, default, about, any_integer=any_integer)


def _takes(config: Any, name: str, value: int) -> bool:
    try:
        setattr(config, name, value)
    except (TypeError, ValueError):
        return False
    return bool(getattr(config, name) == value)


def _tiling(vendor: Vendor, config: Any) -> Dimension | None:
    name, names = "tiling_optimization_level", vendor.members("TilingOptimizationLevel")
    if not names or not vendor.honours(name) or not hasattr(config, name):
        return None
    return Dimension(name, "build", names, "NONE", "search for tilings that stay on the chip")


def _tactics(vendor: Vendor, config: Any, workload: Workload) -> Dimension | None:
    """Every subset of the tactic sources; those of TensorRT 11 concern convolutions only."""
    sources = vendor.members("TacticSource")
    if not vendor.honours("tactic_sources"):
        return None
    default = "+".join(vendor.tactic_names(config.get_tactic_sources())) or "none"
    subsets = tuple(
        "+".join(subset) or "none"
        for count in range(len(sources) + 1)
        for subset in itertools.combinations(sources, count)
    )
    only_convolutions = all("CONVOLUTIONS" in source for source in sources)
    useless = only_convolutions and not CONVOLUTIONS & set(workload.model.operators)
    choices = (default,) if useless else tuple({default: 0} | dict.fromkeys(subsets, 0))
    return Dimension(
        "tactic_sources", "build", choices, default, "libraries that tactics are taken from", fixable=subsets
    )


def _specialization(vendor: Vendor) -> list[Dimension]:
    """Only TensorRT-RTX has it."""
    strategies = [name.lower() for name in vendor.members("DynamicShapesKernelSpecializationStrategy")]
    choices = tuple(name for name in ("eager", "none") if name in strategies)
    if not choices:
        return []
    about = "kernels compiled for the shapes that come, or general ones"
    lazy = {"lazy": "it compiles while the engine is measured; eager ends at the same kernels"}
    return [Dimension("kernel_specialization", "run", choices, choices[0], about, excluded=lazy)]


def _run(workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
    given = _has_ranges(workload)
    return (
        Dimension(
            "cuda_graph", "run", (False, True), False, "the whole inference is recorded and launched at once"
        ),
        Dimension(
            "streams", "run", STREAMS if concurrent else (1,), 1, "inferences at a time", any_integer=True
        ),
        # a range that was given holds every batch; without one the engine is built around each
        Dimension(
            "batch",
            "run" if given else "build",
            batch_choices(workload, LARGEST_BATCH) if concurrent else (workload.plan.batch,),
            workload.plan.batch,
            "samples in one inference",
        ),
    )
