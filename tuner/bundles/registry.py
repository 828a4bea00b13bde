"""The forms in which engines are handed over, one entry a bundle, and writing and loading one by its name."""

from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from studies.core.records import StudyRecord, TrialRecord
from tuner.bundles.base import Bundle, EngineFile, Evidence
from tuner.bundles.engine import EngineBundle, engine_folder
from tuner.bundles.folder import fill
from tuner.documents.study import export_document

BUNDLES: dict[str, Bundle] = {bundle.name: bundle for bundle in (EngineBundle(),)}


def export(
    study: StudyRecord,
    trial: TrialRecord,
    folder: Path,
    workspace: Workspace,
    bundle: str = "engine",
) -> Path:
    """Write the trial's engine and its evidence into a folder, in place of an earlier export there.

    Raises UserError for a trial without a right engine, for a folder that contains other files, and where it
    cannot be written; an earlier export is then as it was.
    """
    form = BUNDLES[bundle]
    why_not = _why_not(trial) or form.suits(trial, study.spec)
    if why_not:
        raise UserError(
            f"trial {trial.number} has no engine to hand over: {why_not}", "Choose another trial."
        )
    engine = engine_folder(trial, workspace)
    if engine is None:
        raise UserError(
            f"the engine of trial {trial.number} is no longer in {str(workspace.engines)!r}",
            "Name the workspace that it was built in, or search again: that builds what is missing.",
        )
    fill(
        folder,
        write=lambda empty: form.write(study, trial, engine, empty),
        evidence=lambda files: export_document(study, trial, files, bundle),
    )
    return folder


def load(folder: Path, evidence: Evidence) -> EngineFile:
    """Return the engine in a bundle's folder; raises UserError where the bundle is not known or damaged."""
    if evidence.bundle not in BUNDLES:
        raise UserError(
            f"the export {str(folder)!r} is a bundle of the kind {evidence.bundle!r}",
            f"Known: {', '.join(BUNDLES)}. A newer version of trt-tuner wrote it.",
        )
    return BUNDLES[evidence.bundle].load(folder, evidence)


def _why_not(trial: TrialRecord) -> str:
    """Return why the trial has no engine with right outputs; empty if it has one."""
    if trial.failure is not None:
        return f"it failed at {trial.failure.stage} ({trial.failure.message})"
    if trial.violations:
        return f"it misses {', '.join(trial.violations)}"
    return "" if trial.state == "feasible" and trial.engine is not None else "it has no measurement"
