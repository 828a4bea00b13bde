"""The options of `tuner compare`."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from engines.core.errors import UserError
from studies.core.options import BackendName, Flags, Help, Metavar, NpzFile, Positional, ShapeTexts
from tuner.options.checks import check_options
from tuner.options.search import Database, WorkspaceFolder


@dataclass(frozen=True)
class Places:
    """Where trials are looked up (the newest study by default), and who runs engine files."""

    study: Annotated[
        str | None, Metavar("NAME"), Help("Study of trials that are given without one.", default="the newest")
    ] = None
    workspace: WorkspaceFolder = Path(".tuner")
    storage: Database = None
    backend: Annotated[
        BackendName,
        Help("Backend of an engine file: tensorrt or tensorrt-rtx; with options as NAME:OPTION=VALUE,..."),
    ] = "auto"


@dataclass(frozen=True)
class CompareOptions:
    """The options of `tuner compare`; `limit` is the largest relative L2 error."""

    first: Annotated[str, Positional("A"), Help("The reference.")]
    second: Annotated[str, Positional("B"), Help("The side that is compared with A.")]
    places: Places = field(default_factory=Places)
    inputs: Annotated[NpzFile, Help("Real inputs, an array for each by its name.", default="random")] = None
    shapes: Annotated[
        ShapeTexts,
        Help("Shapes of the inputs, such as x:8x3x224x224.", default="those that an engine was made for"),
    ] = ()
    limit: Annotated[float, Metavar("ERROR"), Help("Largest relative L2 error.")] = 0.01
    to_the_end: Annotated[bool, Flags(("--all",)), Help("Compare every tensor of two ONNX files.")] = False

    def __post_init__(self) -> None:
        check_options(self)
        if not (self.limit >= 0 and math.isfinite(self.limit)):
            raise UserError(
                f"--limit must be zero or more, not {self.limit:g}", "Write 0.01 for one percent."
            )
