"""The options of `tuner doctor`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from engines.core.errors import UserError
from studies.core.options import BackendName, Count, Help, Metavar, NpzFile, Positional, ShapeTexts
from tuner.options.checks import check_options


@dataclass(frozen=True)
class DoctorOptions:
    """The options of `tuner doctor`.

    Where no model is given a small one is made, and where no workspace is, nothing is kept.
    """

    model: Annotated[Path | None, Positional(), Help("The ONNX file to measure.")] = None
    backend: Annotated[
        BackendName,
        Help("auto, tensorrt, tensorrt-rtx, onnxruntime or fake; with options as NAME:OPTION=VALUE,..."),
    ] = "auto"
    shapes: Annotated[ShapeTexts, Help("Shapes of the inputs, such as x:8x3x224x224,y:1x128.")] = ()
    inputs: Annotated[NpzFile, Help("Real inputs, an array for each.", default="random")] = None
    runs: Annotated[Count, Help("How often the same engine is measured; 0 only looks at the machine.")] = 10
    workspace: Annotated[
        Path | None,
        Metavar("DIR"),
        Help("Folder that keeps the engines.", default="a temporary one"),
    ] = None

    def __post_init__(self) -> None:
        # loads numpy, which --help need not wait for
        from studies.belief.noise import FEWEST_RUNS

        check_options(self)
        if self.runs < 0 or 0 < self.runs < FEWEST_RUNS:
            raise UserError(
                f"--runs must be at least {FEWEST_RUNS}, not {self.runs}",
                "0 looks at the machine and measures nothing.",
            )
        for name, value in (("--shapes", self.shapes), ("--inputs", self.inputs)):
            if value and self.model is None:
                raise UserError(f"{name} needs a model", f"Write tuner doctor MODEL {name} ...")
