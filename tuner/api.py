"""The Python API: the same as the command, as functions that return objects."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from studies.analysis import comparison as analysis
from studies.analysis import comparison as choice
from studies.analysis.comparison import Comparison
from studies.core.records import StudyRecord, TrialRecord
from tuner.bundles import engine
from tuner.documents.study import columns, trial_rows
from tuner.options.coerce import OPTIONS, argument, option
from tuner.options.output_files import REPORT, check_output
from tuner.options.search import SearchOptions
from tuner.workflows.stored import read_stored, trial_of

if TYPE_CHECKING:
    import pandas as pd

    from studies.run.limits import Ending
    from studies.search.stopping import Left


@dataclass(frozen=True, eq=False)
class Result:
    """A study and what it found; `ending` is None for a study that was only loaded.

    `left` is what going on might still gain and how likely that is, and so why a search stopped by itself;
    None where nobody can tell.
    """

    study: StudyRecord
    workspace: Workspace
    ending: "Ending | None" = None
    left: "Left | None" = None

    @property
    def best(self) -> TrialRecord | None:
        """The feasible trial that is best in the first objective; None when nothing is feasible."""
        return analysis.best(self.study)

    @property
    def baseline(self) -> TrialRecord | None:
        """Trial 0: what a user gets without choosing; None before it has finished."""
        return analysis.baseline(self.study)

    @property
    def recommended(self) -> TrialRecord | None:
        """The trial to deploy: the best, or the baseline where nothing is significantly better than it."""
        return choice.recommended(self.study)

    @property
    def comparison(self) -> Comparison:
        """Best against baseline: how much faster, with its interval, and the verdict."""
        return analysis.comparison(self.study)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row a trial: settings, metrics with their intervals, and failures; indexed by number."""
        import pandas as pd

        return pd.DataFrame(trial_rows(self.study), columns=columns(self.study)).set_index("number")

    def trial(self, number: int) -> TrialRecord:
        """One trial; raises UserError when the study does not have it."""
        return trial_of(self.study, argument("trial", "number", number, int))

    def export(self, folder: str | Path, trial: int | None = None) -> Path:
        """Writes an engine with its evidence into a folder, the recommended one by default.

        Raises UserError where there is none, or it cannot be written.
        """
        target = argument("export", "folder", folder, Path)
        number = argument("export", "trial", trial, int | None)
        chosen = self.recommended if number is None else self.trial(number)
        if chosen is None:
            raise UserError(
                f"the study {self.study.name!r} has nothing feasible to export",
                "Loosen a constraint, or search on with more --trials.",
            )
        return engine.export(self.study, chosen, target, self.workspace)

    def report(self, path: str | Path) -> Path:
        """Writes the report, one HTML file, in place of an earlier one there; raises UserError."""
        from dashboards.pages.study import write

        file: Path = argument("report", "path", path, Path)
        check_output(file, REPORT)
        write(self.study, file)
        return file


def search(model: str | Path, *, progress: bool = False, **options: Any) -> Result:
    """Searches a model; the options are the fields of `tuner.options.search.SearchOptions`. Raises UserError.

    Where several values may be given, one may stand alone; times are seconds or text such as 30m; shapes and
    what is fixed may be a dict of names. `progress` shows what the command shows, on standard error. Ctrl-C
    ends the search with what was found so far.
    """
    shown = argument("search", "progress", progress, bool)
    chosen = _options(model, options)
    # showing and exporting what is stored needs neither Optuna nor what runs a search
    from studies.run.limits import Stop
    from tuner.progress.watchers import Silent, watcher_for
    from tuner.workflows import search as searching

    watcher = watcher_for() if shown else Silent()
    try:
        outcome = searching.run(chosen, watcher, Stop())
    finally:
        watcher.close()
    return Result(outcome.study, Workspace(chosen.workspace), outcome.ending, outcome.left)


def load(
    study: str | None = None, *, workspace: str | Path = ".tuner", storage: str | Path | None = None
) -> Result:
    """A stored study, the newest by default; raises UserError when there is none."""
    name, folder = option("load", "study", study), option("load", "workspace", workspace)
    return Result(read_stored(name, folder, option("load", "storage", storage)), Workspace(folder))


def _options(model: str | Path, given: Mapping[str, Any]) -> SearchOptions:
    known = list(OPTIONS)
    for name in given:
        if name not in known or name == "model":
            near = difflib.get_close_matches(name, known, 1)
            guess = f"Did you mean {near[0]}? " if near else ""
            raise UserError(f"search() has no option {name!r}", f"{guess}Known: {', '.join(known[1:])}.")
    # None leaves it to us
    options = {"model": model, **{name: value for name, value in given.items() if value is not None}}
    return SearchOptions(**{name: option("search", name, value) for name, value in options.items()})
