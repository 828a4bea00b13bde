"""Export a study as a landscape, to be replayed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engines.core.results import Artifact, Evaluation, Failure
from engines.core.values import Candidate, Dimension, Value
from engines.landscapes.file import Landscape, Made, Run, run_of, without_paths
from studies.core.records import StudyRecord

# repeats of the baseline are measured outside the passes over the space
BETWEEN = ("self-test", "anchor")


def landscape_of(study: StudyRecord, command: str) -> Landscape:
    """Return everything that the study measured except finals; `command` is how it was recorded."""
    graphs, engines, spec = _Table(), _Table(), study.spec
    places = {trial.number: place for place, trial in enumerate(study.trials)}
    measured = sorted(
        [
            *((one.started_at, one.number, 0, one.evaluation) for one in study.trials),
            *((one.started_at, one.trial, 0, one.evaluation) for one in study.repeats if one.role in BETWEEN),
            *(
                (one.started_at, one.trial, one.session, one.evaluation)
                for one in study.repeats
                if one.role == "again"
            ),
        ],
        key=lambda one: one[0],
    )
    runs = tuple(_run(found, places[number], turn, graphs, engines) for _, number, turn, found in measured)
    return Landscape(
        command=command,
        date=study.created_at.date().isoformat(),
        versions=study.versions,
        backend=spec.backend,
        machine=spec.machine,
        workload=without_paths(spec.workload),
        policy=spec.policy,
        objective=spec.objectives[0].metric,
        constraints=tuple(map(str, spec.constraints)),
        dimensions=spec.space,
        baseline=spec.baseline,
        points=tuple(_point(spec.space, trial.candidate) for trial in study.trials),
        graphs=graphs.made,
        engines=engines.made,
        runs=runs,
    )


class _Table:
    """Graphs or engines, each once, with the time that it took when it was made."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._made: list[Made] = []

    @property
    def made(self) -> tuple[Made, ...]:
        return tuple(self._made)

    def place(self, artifact: Artifact | None) -> int:
        if artifact is None:
            return -1
        if artifact.digest not in self._places:
            self._places[artifact.digest] = len(self._made)
            facts: Mapping[str, Value] = artifact.facts
            seconds = float(facts.get("build_seconds", artifact.seconds))
            self._made.append(Made(artifact.digest, artifact.size_bytes, seconds, facts))
        return self._places[artifact.digest]


def _run(evaluation: Evaluation, candidate: int, number: int, graphs: _Table, engines: _Table) -> Run:
    graph, engine = graphs.place(evaluation.graph), engines.place(evaluation.engine)
    run = run_of(evaluation, candidate, number, graph, engine)
    return replace(run, failure=_portable(run.failure)) if run.failure is not None else run


def _portable(failure: Failure) -> Failure:
    """Return the failure without numbers of trials and folders of this machine in its message."""
    message = re.sub(r"^(as in trial \d+: )+", "", failure.message)
    return replace(failure, message=re.sub(r"(?:/[^/\s'\":]+)+/", _without_folders, message))


def _without_folders(found: "re.Match[str]") -> str:
    """Return nothing for a path of this machine; names of nodes may look like one."""
    first = Path("/") / found.group().split("/")[1]
    return "" if first.is_dir() else found.group()


def _point(space: Sequence[Dimension], candidate: Candidate) -> tuple[int, ...]:
    settings = candidate.settings
    inside = all(settings.get(one.name) in one.choices for one in space)
    return tuple(one.choices.index(settings[one.name]) for one in space) if inside else ()
