"""The Python API: the same as the command, as functions that return objects."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import Policy
from studies.analysis.comparison import Comparison
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord, TrialRecord
from tuner.bundles.registry import export
from tuner.documents.rows import columns, trial_rows
from tuner.options.coerce import (
    PATH,
    TRUTH,
    WHOLE,
    Amount,
    AnyPath,
    Fixed,
    Paths,
    Shapes,
    Texts,
    argument,
    option,
)
from tuner.options.fields import build, options_of
from tuner.options.output_files import REPORT, check_output
from tuner.options.search import Mode, SearchOptions
from tuner.workflows.stored import read_stored, trial_of

if TYPE_CHECKING:
    import pandas as pd

    from studies.run.limits import Ending
    from studies.search.stopping import Left

OPTIONS = options_of(SearchOptions)


@dataclass(frozen=True, eq=False)
class Result:
    """A study and what it found; `ending` is None for a study that was only loaded.

    `left` is the gain that is left and its probability, which is why a search stopped by itself;
    None if it is not known.
    """

    study: StudyRecord
    workspace: Workspace
    ending: "Ending | None" = None
    left: "Left | None" = None

    @cached_property
    def view(self) -> StudyView:
        """The study with what it shows, for pages and documents."""
        return StudyView(self.study)

    @property
    def best(self) -> TrialRecord | None:
        """The feasible trial that is best in the first objective; None when nothing is feasible."""
        return self.view.best

    @property
    def baseline(self) -> TrialRecord | None:
        """Trial 0: what a user gets without choosing; None before it has finished."""
        return self.view.baseline

    @property
    def recommended(self) -> TrialRecord | None:
        """The trial to deploy: the best, or the baseline where nothing is significantly better than it."""
        return self.view.recommended

    @property
    def comparison(self) -> Comparison:
        """Best against baseline: how much faster, with its interval, and the verdict."""
        return self.view.comparison

    @property
    def trials(self) -> "pd.DataFrame":
        """A row a trial: settings, metrics with their intervals, and failures; indexed by number."""
        import pandas as pd

        return pd.DataFrame(trial_rows(self.study), columns=columns(self.study)).set_index("number")

    def trial(self, number: int) -> TrialRecord:
        """Return one trial; raises UserError when the study does not have it."""
        return trial_of(self.study, argument("trial", "number", number, WHOLE))

    def export(self, folder: AnyPath, trial: int | None = None) -> Path:
        """Write an engine with its evidence into a folder, the recommended one by default.

        Raises UserError where there is none, or it cannot be written.
        """
        target = argument("export", "folder", folder, PATH)
        number = None if trial is None else argument("export", "trial", trial, WHOLE)
        chosen = self.recommended if number is None else self.trial(number)
        if chosen is None:
            raise UserError(
                f"the study {self.study.name!r} has nothing feasible to export",
                "Loosen a constraint, or search on with more --trials.",
            )
        return export(self.study, chosen, target, self.workspace)

    def report(self, path: AnyPath) -> Path:
        """Write the report, one HTML file, in place of an earlier one there; raises UserError."""
        from dashboards.pages.study import write

        file: Path = argument("report", "path", path, PATH)
        check_output(file, REPORT)
        write(self.view, file)
        return file


def search(  # noqa: PLR0913 - an argument for each option of the command
    model: AnyPath,
    *,
    backend: str = "auto",
    plugins: Paths = (),
    objectives: Texts = (),
    constraints: Texts = (),
    deadline: Amount | None = None,
    shapes: Shapes = (),
    min_shapes: Shapes = (),
    opt_shapes: Shapes = (),
    max_shapes: Shapes = (),
    override_shapes: Shapes = (),
    inputs: AnyPath | None = None,
    calibration: str | None = None,
    reference: AnyPath | None = None,
    metrics: Texts = (),
    precision: Texts | None = None,
    keep_fp32: Texts = (),
    fix: Fixed = (),
    transfers: bool = False,
    cold: bool = False,
    seed: int = 0,
    policy: Policy | None = None,
    trials: int | None = None,
    timeout: Amount | None = None,
    trial_timeout: Amount | None = None,
    min_gain: Amount | None = None,
    exhaustive: bool = False,
    self_test: int = 5,
    racing: bool = True,
    finalists: int = 4,
    rebuild_finalists: int = 0,
    study: str | None = None,
    mode: Mode = "continue",
    remeasure: bool = False,
    prior: bool = True,
    workspace: AnyPath = ".tuner",
    storage: AnyPath | None = None,
    output: AnyPath | None = None,
    progress: bool = False,
    **unknown: Never,
) -> Result:
    """Search for the fastest engine of a model that still gives the right answers; raises UserError.

    The options are those of `tuner search`. An option for several values also takes a single one; times are
    seconds or text such as 30m; shapes and fixed settings may be dicts. None selects the default.
    `progress` shows what the command shows, on standard error. Ctrl-C ends the search and returns
    what was found so far.

    Options:
        backend: auto, tensorrt, tensorrt-rtx, onnxruntime, fake or replay; with options as
            NAME:OPTION=VALUE,... Default: 'auto'.
        plugins: Library of TensorRT plugins to load, such as libfoo.so; may be repeated.
        objectives: What to optimize; several make a Pareto study. Default: latency_ms.
        constraints: What must hold, such as 'p99_ms<=5'; may be repeated. Default: error<=0.01.
        deadline: Certify that 99 % of inferences meet it, with 95 % confidence, such as 33ms. Seconds, or
            text such as '30m'.
        shapes: Shapes of the inputs, such as x:8x3x224x224,y:1x128.
        min_shapes: Smallest shapes that the engine must take.
        opt_shapes: Shapes to be fastest at, and to measure.
        max_shapes: Largest shapes that the engine must take.
        override_shapes: Make inputs of a dynamic model static in every graph, such as x:1x3x224x224.
        inputs: Real inputs, an array for each by its name, samples along the first axis. Default: random.
        calibration: Data that the ranges of int8 and fp8 are taken from: an npz file, a folder of npy files,
            or MODULE:FUNCTION that yields batches. Default: the inputs.
        reference: The right outputs for --inputs, an array for each by its name. Default: the model's own.
        metrics: Your own measure of the outputs, [NAME=]MODULE:FUNCTION[:minimize], for objectives and
            constraints; may be repeated.
        precision: Precisions to search, such as fp32,int8.
        keep_fp32: Nodes that are never lowered, by name or operator, such as 'LayerNorm*'; may be repeated.
        fix: Search only this value of a dimension, or some: NAME=VALUE,VALUE; --dry-run lists them.
        transfers: Time the copies to and from the device too. Default: False.
        cold: Also time inferences with caches flushed (cold_ms). Default: False.
        seed: Seed of the search and of random inputs. Default: 0.
        policy: How engines are warmed up and timed, a tuner.Policy.
        trials: Maximum number of trials, the baseline included. Default: 50.
        timeout: Time limit, such as 30m; the running trial is finished, and the finals have at least three
            sessions. Seconds, or text such as '30m'.
        trial_timeout: Time limit of one trial. Seconds, or text such as '30m'. Default: from the baseline's.
        min_gain: Stop once the gain that is left is likely to be less than this; 0 never stops. A share such
            as 0.01, or text such as '1%'. Default: 1%.
        exhaustive: Try every candidate of the space, up to 10,000 of them. Default: False.
        self_test: Times that the baseline is measured again, to know the machine's noise. Default: 5.
        racing: Stop measuring what is clearly worse than the best. Default: True.
        finalists: The best that are measured again in turn before one is called the winner. Default: 4.
        rebuild_finalists: Times that each finalist is built anew with cold caches, to tell luck from
            settings. Default: 0.
        study: Name of the study. Default: after the model.
        mode: 'continue' the study if there is one, 'resume' it or fail, or begin a 'new' one. Default:
            'continue'.
        remeasure: Measure again what earlier studies measured. Default: False.
        prior: Begin with the results of earlier studies of similar models. Default: True.
        workspace: Folder for studies, engines, models and inputs. Default: .tuner.
        storage: Database: a path, sqlite:///path or postgresql://... Default: studies.db in the workspace.
        output: Folder for the report and the engine. Default: reports/STUDY in the workspace.
    """
    given = {name: value for name, value in locals().items() if name not in ("progress", "unknown")}
    shown = argument("search", "progress", progress, TRUTH)
    chosen = _options(given, unknown)
    # showing and exporting what is stored needs neither Optuna nor what runs a search
    from studies.run.limits import Stop
    from tuner.progress.watchers import Silent, watcher_for
    from tuner.workflows import search as searching

    watcher = watcher_for() if shown else Silent()
    try:
        outcome = searching.run(chosen, watcher, Stop())
    finally:
        watcher.close()
    return Result(outcome.study, Workspace(chosen.place.workspace), outcome.ending, outcome.left)


def load_study(
    study: str | None = None, *, workspace: AnyPath = ".tuner", storage: AnyPath | None = None
) -> Result:
    """Read a stored study, the newest by default; raises UserError when there is none."""
    given = {"study": study, "workspace": workspace, "storage": storage}
    name, folder, database = (option("load_study", OPTIONS[one], value) for one, value in given.items())
    return Result(read_stored(name, folder, database), Workspace(folder))


def _options(given: Mapping[str, Any], unknown: Iterable[str]) -> SearchOptions:
    names = [name for name in OPTIONS if name != "model"]
    for name in unknown:
        near = difflib.get_close_matches(name, names, 1)
        guess = f"Did you mean {near[0]}? " if near else ""
        raise UserError(f"search() has no option {name!r}", f"{guess}Known: {', '.join(names)}.")
    # None leaves it to us
    options = {name: value for name, value in given.items() if value is not None or name == "model"}
    return build(
        SearchOptions, {name: option("search", OPTIONS[name], value) for name, value in options.items()}
    )
