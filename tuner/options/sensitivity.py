"""The options of `tuner sensitivity`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from studies.core.options import Count, Help, Metavar, NpzFile, Positional, Range, ShapeTexts
from tuner.options.checks import check_options


@dataclass(frozen=True)
class SensitivityOptions:
    """The options of `tuner sensitivity`; `top` is how many nodes are shown."""

    model: Annotated[Path, Positional(), Help("The ONNX file whose nodes are ranked.")]
    precision: Annotated[
        Literal["fp16", "bf16", "int8", "fp8", "int4"], Help("Precision that each node is lowered to.")
    ] = "int8"
    shapes: Annotated[ShapeTexts, Help("Shapes of the inputs, such as x:8x3x224x224,y:1x128.")] = ()
    inputs: Annotated[NpzFile, Help("Real inputs, an array for each.", default="random")] = None
    calibration: Annotated[
        str | None,
        Metavar("SOURCE"),
        Help(
            "Data that is used instead: an npz, a folder of npy files, or MODULE:FUNCTION that yields "
            "batches."
        ),
    ] = None
    top: Annotated[Count, Range(1, hint="Leave it out."), Help("How many nodes are shown.")] = 20
    output: Annotated[Path | None, Metavar("HTML"), Help("Write a chart, a file that opens offline.")] = None

    def __post_init__(self) -> None:
        check_options(self)
