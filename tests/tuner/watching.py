"""What the tests of a running search's lines and display share."""

from studies.core.records import StudyRecord, TrialRecord
from studies.run.interfaces import Observer
from studies.run.limits import Limits


def begin(watcher: Observer, study: StudyRecord, known: int = 0) -> None:
    watcher.begin(study.name, study.spec, Limits(len(study.trials)), study.trials[:known])


def failed(study: StudyRecord) -> TrialRecord:
    return next(trial for trial in study.trials if trial.failure is not None)
