"""The options of `tuner search`, each written once; the Python API takes the same."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from engines.core.errors import UserError
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.options import (
    Help,
    MaybeCount,
    Metavar,
    Range,
    Seconds,
    Spelling,
    Switches,
    Units,
)
from studies.setup.request import Request
from tuner.options.checks import check_options

Mode = Literal["continue", "resume", "new"]
WorkspaceFolder = Annotated[Path, Metavar("DIR"), Help("Folder for studies, engines, models and inputs.")]
Database = Annotated[
    str | None,
    Spelling("database"),
    Metavar("URL"),
    Help("Database: a path, sqlite:///path or postgresql://...", default="studies.db in the workspace"),
]


@dataclass(frozen=True)
class Budget:
    """The limits of a search as the user gave them; times in seconds, `min_gain` as a share.

    None selects the default; `tuner.options.budget` computes the limits that apply.
    """

    trials: Annotated[
        MaybeCount,
        Range(1, hint="Trial 0 is the baseline."),
        Help("Maximum number of trials, the baseline included.", default="50"),
    ] = None
    timeout: Annotated[
        Seconds,
        Help(
            "Time limit, such as 30m; the running trial is finished, and the finals have at least three "
            "sessions."
        ),
    ] = None
    trial_timeout: Annotated[Seconds, Help("Time limit of one trial.", default="from the baseline's")] = None
    min_gain: Annotated[
        float | None,
        Units("share"),
        Metavar("PERCENT"),
        Help("Stop once the gain that is left is likely to be less than this; 0 never stops.", default="1%"),
    ] = None
    exhaustive: Annotated[bool, Help("Try every candidate of the space, up to 10,000 of them.")] = False


@dataclass(frozen=True)
class Place:
    """The name of the study, where files are kept, and whether earlier studies are used."""

    study: Annotated[str | None, Metavar("NAME"), Help("Name of the study.", default="after the model")] = (
        None
    )
    mode: Annotated[
        Mode,
        Switches(
            (
                ("resume", "Continue a study, or fail if there is none."),
                ("new", "Begin a new study, even if there is one to continue."),
            )
        ),
        Help("'continue' the study if there is one, 'resume' it or fail, or begin a 'new' one."),
    ] = "continue"
    remeasure: Annotated[bool, Help("Measure again what earlier studies measured.")] = False
    prior: Annotated[bool, Help("Begin with the results of earlier studies of similar models.")] = True
    workspace: WorkspaceFolder = Path(".tuner")
    storage: Database = None
    output: Annotated[
        Path | None,
        Metavar("DIR"),
        Help("Folder for the report and the engine.", default="reports/STUDY in the workspace"),
    ] = None


@dataclass(frozen=True)
class SearchOptions:
    """What to search, how long, how thoroughly, and where to keep it."""

    request: Request
    budget: Budget = field(default_factory=Budget)
    measurement_plan: MeasurementPlan = field(default_factory=MeasurementPlan)
    place: Place = field(default_factory=Place)

    def __post_init__(self) -> None:
        check_options(self)
        if self.budget.exhaustive and self.budget.min_gain:
            raise UserError(
                "--exhaustive tries every candidate, so --min-gain has no effect", "Give one of them."
            )
        if self.place.mode not in ("continue", "resume", "new"):
            raise UserError(
                f"the mode cannot be {self.place.mode!r}",
                "It is 'continue', 'resume' or 'new'; leave it out.",
            )
        if self.place.study is not None:
            # loads the storage, which --help need not wait for
            from studies.setup.naming import check_name

            check_name(self.place.study)


def storage_url(workspace: Path, storage: str | None) -> str:
    """Return the database, a path or a URL: the workspace's own unless another is given."""
    # as a path and not as a URL, in which %, ? and # would mean something else
    return str(workspace / "studies.db") if storage is None else storage
