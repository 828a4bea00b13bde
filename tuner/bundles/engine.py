"""Hands over an engine with its evidence: what it is, how it was found, and how it compares."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.artifacts.store import FACTS
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from studies.core.records import StudyRecord, TrialRecord
from tuner.documents.study import dump, export_document

EVIDENCE = "evidence.json"
_STAGING = ".unfinished-"


def export(study: StudyRecord, trial: TrialRecord, folder: Path, workspace: Workspace) -> Path:
    """Writes the trial's engine and its evidence into a folder, in place of an earlier export there.

    Raises UserError for a trial without a right engine, for a folder that holds anything else, and where it
    cannot be written; an earlier export is then as it was.
    """
    source = _engine_of(trial, workspace)
    earlier = check_folder(folder)
    try:
        with _staging(folder) as staging:
            for file in source.iterdir():
                if file.name != FACTS:
                    shutil.copyfile(file, staging / file.name)
            files = {file.name: _digest(file) for file in sorted(staging.iterdir())}
            (staging / EVIDENCE).write_text(dump(export_document(study, trial, files)), encoding="utf-8")
            for name in [*files, EVIDENCE]:
                (staging / name).replace(folder / name)
        for name in earlier - files.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        hint = "Everything finished is saved: mend that, and try again."
        raise _cannot_write(folder, error, hint) from error
    return folder


def check_folder(folder: Path) -> frozenset[str]:
    """Makes sure that an export can be written there; the files of an earlier one. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        # a staging folder is what a killed export left, or another one that is at work
        is_empty = all(path.name.startswith(_STAGING) for path in folder.iterdir())
        return frozenset() if is_empty else _exported_files(folder)
    except OSError as error:
        raise _cannot_write(folder, error, "Choose another folder.") from error


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder inside, so that its files need only be renamed; it vanishes at the end."""
    staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _engine_of(trial: TrialRecord, workspace: Workspace) -> Path:
    if trial.state != "feasible" or trial.engine is None:
        raise UserError(
            f"trial {trial.number} has no engine to hand over: {_why(trial)}", "Choose another trial."
        )
    source = engine_folder(trial, workspace)
    if source is None:
        raise UserError(
            f"the engine of trial {trial.number} is no longer in {str(workspace.engines)!r}",
            "Name the workspace that it was built in, or search again: that builds what is missing.",
        )
    return source


def engine_folder(trial: TrialRecord, workspace: Workspace) -> Path | None:
    """Where the trial's engine lies; None when it has none, or none in this workspace."""
    folder = workspace.engines / trial.engine.digest if trial.engine is not None else None
    return folder if folder is not None and folder.is_dir() else None


def _why(trial: TrialRecord) -> str:
    if trial.failure is not None:
        return f"it failed at {trial.failure.stage} ({trial.failure.message})"
    return f"it misses {', '.join(trial.violations)}" if trial.violations else "it has no measurement"


def _exported_files(folder: Path) -> frozenset[str]:
    try:
        files = json.loads((folder / EVIDENCE).read_bytes())["files"]
        return frozenset(name for name in files if name == Path(name).name)
    except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{str(folder)!r} holds files that are no export", "Choose another folder."
        ) from error


def _digest(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": sha256}


def _cannot_write(folder: Path, error: OSError, hint: str) -> UserError:
    return UserError(f"cannot write to the folder {str(folder)!r}: {error.strerror or error}", hint)
