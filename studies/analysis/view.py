"""A study as pages, charts and documents read it: every derived value is computed once.

A view of a running study is brought up to date with `update`, which reads only what was added.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

from studies.analysis.comparison import (
    Comparison,
    Step,
    baseline,
    best_so_far,
    comparison,
    pareto_front,
    recommended_of,
)
from studies.analysis.effects import Effects, effects
from studies.belief.noise import Drift, Noise, drift, noise
from studies.core.records import StudyRecord, TrialRecord
from studies.finals.rebuilds import Rebuilt, rebuilt
from studies.finals.verdict import Finals, finals


class StudySource(Protocol):
    """What a view reads from; `studies.storage.storage.Storage` is one."""

    def read_study(self, name: str) -> StudyRecord:
        """Return the study with all that it holds; raises UserError when it is not there."""
        ...

    def read_since(self, study: StudyRecord) -> StudyRecord:
        """Return the study with what was added since it was read."""
        ...


class StudyView:
    """A study and what it shows; properties are computed when they are first asked for.

    `study` is the record as it was last read. Trials are judged when they are read, and never again.
    """

    def __init__(self, study: StudyRecord, source: StudySource | None = None) -> None:
        self.study = study
        self._source = source

    @classmethod
    def open(cls, source: StudySource, name: str) -> "StudyView":
        """Return a view of a stored study; raises UserError when it is not there."""
        return cls(source.read_study(name), source)

    def update(self) -> bool:
        """Read what was added to the storage since, and return whether anything was.

        New trials need not have the largest numbers: a trial is numbered when it begins, and stored when it
        ends. A view without a source has nothing to read.
        """
        if self._source is None:
            return False
        before, self.study = self.study, self._source.read_since(self.study)
        if self.study is before:
            return False
        for name, attribute in vars(type(self)).items():
            if isinstance(attribute, cached_property):
                self.__dict__.pop(name, None)
        return True

    @cached_property
    def comparison(self) -> Comparison:
        """Return the best trial compared with the baseline."""
        return comparison(self.study)

    @property
    def best(self) -> TrialRecord | None:
        """Return the winner of the finals, else the best feasible trial; None if none is feasible."""
        return self.comparison.best

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """Return trial 0; None before it has finished."""
        return baseline(self.study)

    @cached_property
    def recommended(self) -> TrialRecord | None:
        """Return the trial to deploy: the best, or the baseline if nothing is significantly better."""
        return recommended_of(self.comparison)

    @cached_property
    def pareto_front(self) -> tuple[TrialRecord, ...]:
        """Return the feasible trials that no other beats in all objectives."""
        return pareto_front(self.study)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return every trial with the best by then."""
        return best_so_far(self.study)

    @cached_property
    def effects(self) -> Effects:
        """Return the effect of each dimension on the first objective."""
        return effects(self.study)

    @cached_property
    def finals(self) -> Finals | None:
        """Return the finals over all trials; None if they were not completed."""
        return finals(self.study)

    @cached_property
    def rebuilt(self) -> tuple[Rebuilt, ...]:
        """Return the results of rebuilding the finalists."""
        return rebuilt(self.study)

    @cached_property
    def noise(self) -> Noise | None:
        """Return how much the baseline differs from run to run; None without a self-test."""
        return noise(self.study)

    @cached_property
    def drift(self) -> Drift | None:
        """Return how the baseline changed while the study ran; None if it was not measured again."""
        return drift(self.study)

    @cached_property
    def roles(self) -> Mapping[int, str]:
        """Return the role of every trial by its number: best, baseline, pruned, feasible, infeasible or
        failed.

        The baseline when it is the best too is marked best; pruned are feasible ones that were stopped early.
        """
        roles = {trial.number: _role(trial) for trial in self.study.trials}
        for role, trial in (("baseline", self.baseline), ("best", self.best)):
            if trial is not None and trial.state != "failed":
                roles[trial.number] = role
        return roles


def _role(trial: TrialRecord) -> str:
    pruned = trial.measurement is not None and trial.measurement.pruned
    return "pruned" if trial.state == "feasible" and pruned else trial.state
