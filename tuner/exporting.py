"""Hands over an engine with its evidence: what it is, how it was found, and how to run it."""

import shutil
from pathlib import Path

from engines.artifacts import FACTS
from engines.errors import UserError
from engines.wire import to_plain
from engines.workspace import Workspace, new_folder
from studies.records import StudyRecord, TrialRecord
from tuner.documents import dump, study_header, trial_document

EVIDENCE = "evidence.json"


def export(study: StudyRecord, trial: TrialRecord, folder: Path, workspace: Workspace) -> Path:
    """Writes the trial's engine and its evidence into a folder, replacing an earlier export there.

    Raises UserError for a trial without a right engine, and for a folder that holds anything else.
    """
    if trial.state != "feasible" or trial.engine is None:
        raise UserError(
            f"trial {trial.number} has no engine to hand over: {_why(trial)}", "Choose another trial."
        )
    source = workspace.engines / trial.engine.digest
    if not source.is_dir():
        raise UserError(
            f"the engine of trial {trial.number} is no longer in {workspace.engines}",
            "Build it again with tuner search --new, or name its workspace with --workspace.",
        )
    if folder.exists() and not (folder / EVIDENCE).is_file() and any(folder.iterdir()):
        raise UserError(f"{folder} holds files that are no export", "Choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    with new_folder(folder) as new:
        for file in source.iterdir():
            if file.name != FACTS:
                shutil.copy2(file, new / file.name)
        evidence = {**study_header(study), "trial": trial_document(trial), "digest": trial.engine.digest}
        (new / EVIDENCE).write_text(dump(to_plain(evidence)))
    return folder


def _why(trial: TrialRecord) -> str:
    if trial.failure is not None:
        return f"it failed at {trial.failure.stage} ({trial.failure.message})"
    return f"it misses {', '.join(trial.violations)}" if trial.violations else "it has no measurement"
