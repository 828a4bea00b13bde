"""The engine as its backend built it, which `tuner measure` and `tuner compare` take."""

import shutil
from pathlib import Path

from engines.artifacts.store import FACTS
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import Settings
from engines.shapes.resolve import batch_of, with_batch
from studies.core.records import StudyRecord, StudySpec, TrialRecord
from tuner.bundles.base import EngineFile, Evidence


def engine_folder(trial: TrialRecord, workspace: Workspace) -> Path | None:
    """Return where the trial's engine lies; None when it has none, or none in this workspace."""
    folder = workspace.engines / trial.engine.digest if trial.engine is not None else None
    return folder if folder is not None and folder.is_dir() else None


class EngineBundle:
    """The files of the engine, as they are in the workspace."""

    name = "engine"

    def suits(self, trial: TrialRecord, spec: StudySpec) -> str | None:
        return None

    def write(self, study: StudyRecord, trial: TrialRecord, engine: Path, folder: Path) -> None:
        for file in engine.iterdir():
            if file.name != FACTS:
                shutil.copyfile(file, folder / file.name)

    def load(self, folder: Path, evidence: Evidence) -> EngineFile:
        missing = [file for file in evidence.files if not (folder / file).is_file()]
        if missing:
            raise UserError(
                f"the export {str(folder)!r} has lost its {missing[0]}", "Export the engine again."
            )
        batch, batched = batch_of(evidence.model, evidence.shapes)
        batch = int(evidence.trial.settings.get("batch", batch))
        return EngineFile(
            path=folder,
            backends=(evidence.backend.name,),
            options=Settings(evidence.backend.options),
            run=evidence.trial.settings,
            about=f"trial {evidence.trial.number} of {evidence.study}",
            model=evidence.model,
            preferred=with_batch(evidence.shapes, batched, batch),
        )
