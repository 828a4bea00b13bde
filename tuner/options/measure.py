"""The options of `tuner measure`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from engines.core.errors import UserError
from studies.core.options import (
    BackendName,
    Help,
    MaybeCount,
    NpzFile,
    Positional,
    Range,
    Seconds,
    ShapeTexts,
)
from tuner.options.checks import check_options

ONE_OR_MORE = Range(1, hint="Leave it out.")


@dataclass(frozen=True)
class MeasureOptions:
    """The options of `tuner measure`; times in seconds, None for what was not said."""

    engine: Annotated[Path, Positional(), Help("An export of tuner export, or the file of an engine.")]
    backend: Annotated[
        BackendName,
        Help("Backend that runs a plan: tensorrt or tensorrt-rtx; with options as NAME:OPTION=VALUE,..."),
    ] = "auto"
    shapes: Annotated[
        ShapeTexts,
        Help("Shapes of the inputs, such as x:8x3x224x224.", default="those that it was made for"),
    ] = ()
    inputs: Annotated[NpzFile, Help("Real inputs, an array for each by its name.", default="random")] = None
    streams: Annotated[
        MaybeCount, ONE_OR_MORE, Help("Concurrent inferences.", default="the export's, or 1")
    ] = None
    cuda_graph: Annotated[bool | None, Help("Launch the inference as a CUDA graph, or not.")] = None
    transfers: Annotated[bool | None, Help("Time the copies to and from the device too, or not.")] = None
    cold: Annotated[bool, Help("Time inferences with caches flushed too.")] = False
    warm_up: Annotated[Seconds, Range(0), Help("Time to warm up, such as 200ms.")] = None
    duration: Annotated[
        Seconds, Help("Time to measure for.", default="until the interval is narrow, at most 3s")
    ] = None
    iterations: Annotated[MaybeCount, ONE_OR_MORE, Help("Minimum number of inferences on each stream.")] = (
        None
    )
    like_trtexec: Annotated[
        Literal[10, 11] | None,
        Help("Measure as trtexec of this major version does, and print its summary."),
    ] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.cold and self.like_trtexec:
            raise UserError("--cold and --like-trtexec exclude each other", "trtexec flushes no caches.")
