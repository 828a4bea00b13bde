"""What can be compared: an ONNX file, an engine, the engine of a trial, or outputs in an npz file."""

import re
from dataclasses import dataclass
from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import ModelFacts, Settings, Tensors
from engines.data.tensor_files import read_arrays
from engines.models.read import read_model
from engines.shapes.plan import asked_batch, case_shapes
from tuner.bundles.base import EngineFile
from tuner.bundles.engine import engine_folder
from tuner.bundles.engine_files import find_engine
from tuner.options.checks import check_path
from tuner.options.compare import Places
from tuner.workflows.stored import read_stored, trial_of

WHAT_CAN_BE = (
    "Name an ONNX file, a folder that tuner export wrote, a plan of TensorRT, an npz file of outputs, "
    "or a trial such as trial:7 or STUDY/trial:7."
)
_TRIAL = re.compile(r"(?:(?:(?P<study>.+)/)?trial:)?(?P<number>\d+)")


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two: exactly one of an ONNX file's `model`, an `engine`, and `outputs`."""

    name: str
    about: str
    model: ModelFacts | None = None
    engine: EngineFile | None = None
    outputs: Tensors | None = None


def find_side(text: str, places: Places) -> Side:
    """Return the side that the text names, a file before a trial; raises UserError."""
    path = Path(text)
    check_path(path)
    trial = _TRIAL.fullmatch(text)
    if trial is not None and not path.exists():
        return _trial(trial["study"] or places.study, int(trial["number"]), places)
    if not text or not path.exists():
        raise UserError(f"there is no {text!r}", WHAT_CAN_BE)
    if path.is_file() and path.suffix.lower() == ".onnx":
        return Side(text, "ONNX file", model=read_model(path))
    if path.is_file() and path.suffix.lower() == ".npz":
        return Side(text, "outputs", outputs=read_arrays(path))
    # an export knows its backend
    engine = find_engine(path, "auto" if path.is_dir() else places.backend)
    return Side(text, engine.about or "engine", engine=engine)


def _trial(study: str | None, number: int, places: Places) -> Side:
    found = read_stored(study, places.workspace, places.storage)
    trial, spec = trial_of(found, number), found.spec
    workspace = Workspace(places.workspace)
    name = f"trial {number} of {found.name}"
    if trial.engine is None:
        failure = trial.failure
        why = f": it failed at {failure.stage} ({failure.message})" if failure is not None else ""
        raise UserError(f"{name} has no engine{why}", "Choose another trial.")
    folder = engine_folder(trial, workspace)
    if folder is None:
        raise UserError(
            f"the engine of {name} is no longer in {str(workspace.engines)!r}",
            "Name the workspace that it was built in, or search again: that builds what is missing.",
        )
    workload, settings = spec.workload, trial.candidate.settings
    engine = EngineFile(
        path=folder,
        backends=(spec.backend,),
        options=spec.backend_options,
        run=Settings(settings),
        about=name,
        model=workload.model,
        preferred=case_shapes(workload, asked_batch(workload.plan, trial.candidate)),
    )
    return Side(name, f"engine of {spec.backend}", engine=engine)
