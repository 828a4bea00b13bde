"""A study that is stored already, and its trials."""

from pathlib import Path

from engines.core.errors import UserError
from studies.core.records import StudyRecord, TrialRecord
from studies.storage.database import parse_url
from studies.storage.storage import open_storage
from tuner.options.checks import check_path
from tuner.options.search import storage_url


def read_stored(name: str | None, workspace: Path, storage: str | None) -> StudyRecord:
    """Read the study, the newest by default; raises UserError where there is none."""
    with open_storage(require_storage(workspace, storage)) as opened:
        names = opened.study_names()
        if name is None and not names:
            raise UserError("there are no studies yet", "Run tuner search MODEL.")
        return opened.read_study(names[-1] if name is None else name)


def trial_of(study: StudyRecord, number: int) -> TrialRecord:
    """Return one trial; raises UserError when the study does not have it."""
    found = study.trial(number)
    if found is None:
        last = max((one.number for one in study.trials), default=-1)
        raise UserError(
            f"the study {study.name!r} has no trial {number}",
            f"It has trials 0 to {last}." if last > 0 else "It has trial 0." if last == 0 else "It has none.",
        )
    return found


def require_storage(workspace: Path, storage: str | None) -> str:
    """Return the name of a database that exists; raises UserError where there is none to read."""
    check_path(workspace)
    url = parse_url(storage_url(workspace, storage))
    if url.get_backend_name() == "sqlite" and not str(url.database).startswith("file:"):
        if storage is None and not Path(str(url.database)).exists():
            raise UserError(
                f"there are no studies in {str(workspace)!r}",
                "Run tuner search MODEL, or name the folder with --workspace.",
            )
        if not Path(str(url.database)).exists():
            raise UserError(f"there is no database {url.database}", "Check what --storage names.")
    return storage_url(workspace, storage)
