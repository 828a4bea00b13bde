"""Describe the dimensions of graphs: the precisions that a backend takes, and their options."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from engines.core.values import Dimension, Workload
from engines.graphs.passes import modelopt
from engines.graphs.passes import simplify as simplification
from engines.models import given_precision

HALVES = ("fp16", "bf16")
CALIBRATED = ("int8", "fp8")
QUANTIZED = (*CALIBRATED, "int4")
GIVEN = "given"
BUILTIN = "builtin"
METHODS = ("minmax", "entropy", "percentile")
# operators that are worth lowering; the number of such nodes bounds how many can be kept in FP32
CONVOLUTIONS = ("Conv", "ConvTranspose")
PRODUCTS = ("Gemm", "MatMul")
WEIGHTED = (*CONVOLUTIONS, *PRODUCTS)
FEWEST_PRODUCTS = 2
MOST_KEPT = 64


@dataclass(frozen=True)
class Target:
    """The graphs that a backend takes.

    `plain` are precisions that leave the graph as it is, the default first, `lowered` those that change the
    graph, and `elsewhere` those that the backend's builder makes; `excluded` gives the reasons why others are
    missing. `high_precision` are the types of what is not quantized, the default first. `int8_by` names the
    quantizer that makes int8, and `takes_modelopt` is whether graphs of NVIDIA ModelOpt are taken. `refused`
    are operators that stay out of a precision, and the reasons.
    """

    plain: tuple[str, ...]
    lowered: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    high_precision: tuple[str, ...] = ("fp32",)
    int8_by: Literal["builtin", "onnxruntime"] = "builtin"
    takes_modelopt: bool = True
    refused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def dimensions(target: Target, workload: Workload) -> tuple[Dimension, ...]:
    """Return the dimensions of kind `graph` for a workload."""
    simplify = Dimension(
        "simplify",
        "graph",
        simplification.available(),
        simplification.NONE,
        "constants folded and dead nodes removed",
        simplification.excluded(),
    )
    how = given_precision.arrived_as(workload.model, workload.model.file.path)
    if how is not None:
        about = f"the model is {how} already and is kept as it is"
        excluded = dict.fromkeys((*target.plain, *target.lowered, *target.elsewhere), about)
        return (Dimension("precision", "graph", (GIVEN,), GIVEN, about, excluded), simplify)
    target = _fitting(target, workload)
    return (_precision(target), *_lowering(target, workload), simplify)


def _fitting(target: Target, workload: Workload) -> Target:
    """Leave out the precisions that would apply to hardly any weight of the model."""
    operators = workload.model.operators
    convolutions, products = (
        sum(operators.get(name, 0) for name in names) for names in (CONVOLUTIONS, PRODUCTS)
    )
    if products >= convolutions + FEWEST_PRODUCTS:
        return target
    only = {"int4": f"it is for the weights of products, and of those the model has {products}"}
    if not (convolutions or products):
        only = dict.fromkeys(QUANTIZED, "the model has neither convolutions nor products")
    refused, there = target.refused.get("int8", {}), [name for name in CONVOLUTIONS if operators.get(name)]
    if there and all(name in refused for name in there):
        only["int8"] = refused[there[0]]
    lowered = tuple(name for name in target.lowered if name not in only)
    left_out = {name: why for name, why in only.items() if name in target.lowered}
    return replace(target, lowered=lowered, excluded={**target.excluded, **left_out})


def _precision(target: Target) -> Dimension:
    choices = (*target.plain, *target.lowered, *target.elsewhere)
    about = "numeric type of weights and activations"
    return Dimension("precision", "graph", choices, target.plain[0], about, target.excluded)


def _lowering(target: Target, workload: Workload) -> list[Dimension]:
    """Return the options of a lowered graph; none if nothing can be lowered."""
    lowered = (*target.lowered, *target.elsewhere)
    if not lowered:
        return []
    calibrated = tuple(name for name in lowered if base_precision(name) in CALIBRATED)
    found = [
        Dimension(
            "keep_fp32",
            "graph",
            kept_choices(workload),
            0,
            "how many of the most sensitive nodes stay in FP32",
            any_integer=True,
            applies_to={"precision": lowered},
        )
    ]
    if calibrated:
        about = "how ranges are computed from the calibration data"
        applies = {"precision": calibrated}
        found.append(Dimension("calibration", "graph", METHODS, METHODS[0], about, applies_to=applies))
    quantized = tuple(name for name in target.lowered if name in QUANTIZED)
    if quantized and len(target.high_precision) > 1:
        choices, applies = target.high_precision, {"precision": quantized}
        about = "type of what is not quantized"
        found.append(Dimension("high_precision", "graph", choices, choices[0], about, applies_to=applies))
    if target.lowered and target.takes_modelopt and modelopt.find() is not None:
        about = "which tool lowers the graph: onnxruntime's or NVIDIA ModelOpt"
        applies = {"precision": target.lowered}
        found.append(
            Dimension("converter", "graph", (BUILTIN, "modelopt"), BUILTIN, about, applies_to=applies)
        )
    return found


def kept_choices(workload: Workload) -> tuple[int, ...]:
    """Return 0, 1, 4, 16 ... up to half of the nodes that are worth lowering."""
    operators = workload.model.operators
    most = min(MOST_KEPT, sum(operators.get(name, 0) for name in WEIGHTED) // 2)
    powers = [4**exponent for exponent in range(int(math.log(max(most, 1), 4)) + 1)]
    return (0, *(power for power in powers if power <= most))


def base_precision(precision: str) -> str:
    """Return the lowest type in the name of a precision, such as int8 in weak_int8_fp16 or weak_best."""
    parts = precision.replace("best", "int8").split("_")
    return next((one for one in (*QUANTIZED, *HALVES) if one in parts), precision)
