"""What the user wants to search: model, data, objectives and space, each with its help."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from studies.core.options import (
    BackendName,
    Count,
    Flags,
    Help,
    Metavar,
    NpzFile,
    Positional,
    Range,
    Seconds,
    ShapeTexts,
    Spelling,
)

if TYPE_CHECKING:
    from engines.core.values import Policy


@dataclass(frozen=True)
class Request:
    """What to search; `studies.setup.spec.settle` reads and checks it.

    `deadline` is in seconds. None and empty mean the default.
    """

    model: Annotated[Path, Positional(), Help("The ONNX file to search.")]
    backend: Annotated[
        BackendName,
        Help(
            "auto, tensorrt, tensorrt-rtx, onnxruntime, fake or replay; with options as NAME:OPTION=VALUE,..."
        ),
    ] = "auto"
    plugins: Annotated[
        tuple[Path, ...],
        Metavar("LIB"),
        Help("Library of TensorRT plugins to load, such as libfoo.so; may be repeated."),
    ] = ()
    objectives: Annotated[
        tuple[str, ...],
        Flags(("--objective",)),
        Metavar("METRIC"),
        Help("What to optimize; several make a Pareto study.", default="latency_ms"),
    ] = ()
    constraints: Annotated[
        tuple[str, ...],
        Flags(("--constraint",)),
        Metavar("LIMIT"),
        Help("What must hold, such as 'p99_ms<=5'; may be repeated.", default="error<=0.01"),
    ] = ()
    deadline: Annotated[
        Seconds,
        Help("Certify that 99 % of inferences meet it, with 95 % confidence, such as 33ms."),
    ] = None
    shapes: Annotated[ShapeTexts, Help("Shapes of the inputs, such as x:8x3x224x224,y:1x128.")] = ()
    min_shapes: Annotated[
        ShapeTexts,
        Flags(("--min-shapes", "--minShapes")),
        Help("Smallest shapes that the engine must take."),
    ] = ()
    opt_shapes: Annotated[
        ShapeTexts, Flags(("--opt-shapes", "--optShapes")), Help("Shapes to be fastest at, and to measure.")
    ] = ()
    max_shapes: Annotated[
        ShapeTexts,
        Flags(("--max-shapes", "--maxShapes")),
        Help("Largest shapes that the engine must take."),
    ] = ()
    override_shapes: Annotated[
        ShapeTexts,
        Flags(("--override-shape",)),
        Help("Make inputs of a dynamic model static in every graph, such as x:1x3x224x224."),
    ] = ()
    inputs: Annotated[
        NpzFile,
        Help("Real inputs, an array for each by its name, samples along the first axis.", default="random"),
    ] = None
    calibration: Annotated[
        str | None,
        Metavar("SOURCE"),
        Help(
            "Data that the ranges of int8 and fp8 are taken from: an npz file, a folder of npy files, or "
            "MODULE:FUNCTION that yields batches.",
            default="the inputs",
        ),
    ] = None
    reference: Annotated[
        NpzFile,
        Help("The right outputs for --inputs, an array for each by its name.", default="the model's own"),
    ] = None
    metrics: Annotated[
        tuple[str, ...],
        Spelling("functions"),
        Flags(("--metric",)),
        Metavar("FUNCTION"),
        Help(
            "Your own measure of the outputs, [NAME=]MODULE:FUNCTION[:minimize], for objectives and "
            "constraints; may be repeated."
        ),
    ] = ()
    precision: Annotated[
        str | None, Spelling("list"), Metavar("LIST"), Help("Precisions to search, such as fp32,int8.")
    ] = None
    keep_fp32: Annotated[
        tuple[str, ...],
        Metavar("PATTERN"),
        Help("Nodes that are never lowered, by name or operator, such as 'LayerNorm*'; may be repeated."),
    ] = ()
    fix: Annotated[
        tuple[str, ...],
        Spelling("settings"),
        Metavar("NAME=VALUE"),
        Help("Search only this value of a dimension, or some: NAME=VALUE,VALUE; --dry-run lists them."),
    ] = ()
    transfers: Annotated[bool, Help("Time the copies to and from the device too.")] = False
    cold: Annotated[bool, Help("Also time inferences with caches flushed (cold_ms).")] = False
    seed: Annotated[
        Count, Range(0, 2**32 - 1, "Choose another."), Help("Seed of the search and of random inputs.")
    ] = 0
    policy: Annotated[
        "Policy | None", Spelling("policy"), Help("How engines are warmed up and timed, a tuner.Policy.")
    ] = None
