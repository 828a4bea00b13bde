"""The Python API: the same as the command, as functions that return objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import UserError
from engines.workspace import Workspace
from studies.analysis import Comparison, baseline, best, comparison
from studies.owner import Ending, Stop
from studies.records import StudyRecord, TrialRecord
from studies.storage import open_storage
from tuner import exporting, searching
from tuner.documents import trial_rows
from tuner.options import SearchOptions, storage_url
from tuner.progress import Silent, watcher_for

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Result:
    """A study and what it found; `ending` is None for a study that was only loaded."""

    study: StudyRecord
    workspace: Workspace
    ending: Ending | None = None

    @property
    def best(self) -> TrialRecord | None:
        """The best feasible trial; None when nothing is feasible."""
        return best(self.study)

    @property
    def baseline(self) -> TrialRecord | None:
        """Trial 0: what a user gets without choosing."""
        return baseline(self.study)

    @property
    def comparison(self) -> Comparison:
        """Best against baseline: how much faster, with its interval, and the verdict."""
        return comparison(self.study)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row a trial: settings, metrics with their intervals, and failures; indexed by number."""
        import pandas as pd

        return pd.DataFrame(trial_rows(self.study)).set_index("number")

    def trial(self, number: int) -> TrialRecord:
        """One trial; raises UserError when the study does not have it."""
        if not 0 <= number < len(self.study.trials):
            raise UserError(
                f"the study {self.study.name!r} has no trial {number}",
                f"It has trials 0 to {len(self.study.trials) - 1}."
                if self.study.trials
                else "It has none yet.",
            )
        return self.study.trials[number]

    def export(self, folder: str | Path, trial: int | None = None) -> Path:
        """Writes an engine, the best by default, with its evidence into a folder; raises UserError."""
        chosen = self.best if trial is None else self.trial(trial)
        if chosen is None:
            raise UserError(
                f"the study {self.study.name!r} has nothing feasible to export", "Loosen a constraint."
            )
        return exporting.export(self.study, chosen, Path(folder), self.workspace)

    def report(self, path: str | Path) -> Path:
        """Writes the report, one HTML file."""
        from dashboards.page import write

        write(self.study, Path(path))
        return Path(path)


def search(model: str | Path, *, progress: bool = False, **options: Any) -> Result:
    """Searches a model; the options are the fields of `tuner.options.SearchOptions`. Raises UserError.

    `progress` shows what the command shows, on standard error.
    """
    paths = {name: Path(options[name]) for name in ("inputs", "workspace", "output") if options.get(name)}
    try:
        chosen = SearchOptions(model=Path(model), **{**options, **paths})
    except TypeError as error:
        raise UserError(f"unknown option: {error}", "See tuner.options.SearchOptions.") from error
    watcher = watcher_for() if progress else Silent()
    outcome = searching.run(chosen, watcher, Stop())
    return Result(outcome.study, Workspace(chosen.workspace), outcome.ending)


def load(study: str | None = None, *, workspace: str | Path = ".tuner", storage: str | None = None) -> Result:
    """A stored study, the newest by default; raises UserError when there is none."""
    folder = Path(workspace)
    with open_storage(require_storage(folder, storage)) as opened:
        names = opened.study_names()
        if study is None and not names:
            raise UserError("there are no studies yet", "Run tuner search MODEL.")
        return Result(opened.read_study(study or names[-1]), Workspace(folder))


def require_storage(workspace: Path, storage: str | None) -> str:
    """The URL of a database that exists; raises UserError where the workspace has none."""
    if storage is None and not (workspace / "studies.db").exists():
        raise UserError(
            f"there are no studies in {workspace}", "Run tuner search MODEL, or name the --workspace."
        )
    return storage_url(workspace, storage)
