"""Open what a search, its plan and a recording need: storage, executor, and the settled request."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.core.version import VERSION
from engines.executors.base import StudyExecutor
from engines.executors.registry import LOCAL, open_executor
from engines.models.located import keep
from studies.belief.measurement_plan import MeasurementPlan, fitting
from studies.core.records import StudySpec
from studies.run.interfaces import Observer
from studies.run.loop import StudyLoop
from studies.search.observations import Earlier
from studies.search.transfer.find import priors_of
from studies.setup.request import Request
from studies.setup.spec import Question, settle, specify
from studies.storage.storage import Storage, open_storage

VERSIONED = ("optuna", "numpy", "onnx")


@dataclass(frozen=True)
class Opening:
    """A study that is about to be searched, with its storage and executor.

    `measurement_plan` fits its objectives.
    """

    workspace: Workspace
    storage: Storage
    executor: StudyExecutor
    observer: Observer
    question: Question
    spec: StudySpec
    measurement_plan: MeasurementPlan

    def compute_reference(self) -> None:
        """Compute the reference outputs; raises UserError for a model that cannot run."""
        what = "computing the reference outputs"
        self.observer.preparing(what)
        self.executor.prepare(self.question.workload.plan.batch, lambda *_: self.observer.preparing(what))

    def create_study(self, name: str, earlier: Sequence[Earlier] = ()) -> None:
        """Add the study, with the earlier studies that it learns from."""
        self.storage.create_study(name, self.spec, versions(), priors_of(earlier))

    def loop(
        self, name: str, seed: int, *, remeasure: bool = False, earlier: tuple[Earlier, ...] = ()
    ) -> StudyLoop:
        """Return the search of the study of this name, whose files the workspace keeps from now on."""
        keep(self.spec.workload, self.workspace)
        return StudyLoop(
            *(name, self.spec, self.storage, self.executor, self.observer),
            seed=seed,
            remeasure=remeasure,
            measurement_plan=self.measurement_plan,
            earlier=earlier,
        )


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a search does."""
    return {"trt-tuner": VERSION, **{name: importlib.metadata.version(name) for name in VERSIONED}}


@contextmanager
def opened(
    request: Request,
    folder: Path,
    url: str,
    measurement_plan: MeasurementPlan,
    observer: Observer,
    executor: str = LOCAL,
) -> Iterator[Opening]:
    """Open the storage, settle the request, and start the executor of this name.

    Raises UserError for what the user must fix. The executor is closed in the end.
    """
    workspace = Workspace(folder).create()
    with open_storage(url) as storage:
        observer.preparing("reading the model")
        question = settle(request, workspace)
        observer.preparing(f"starting the backend {question.backend.backend}")
        with open_executor(question.backend, workspace, executor) as started:
            spec, notes = specify(question, started.open())
            question = replace(question, notes=notes)
            fitted = fitting(measurement_plan, spec.objectives)
            yield Opening(workspace, storage, started, observer, question, spec, fitted)
