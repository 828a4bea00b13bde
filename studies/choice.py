"""Which of a study's trials to deploy."""

from studies.analysis import comparison
from studies.records import StudyRecord, TrialRecord


def recommended(study: StudyRecord) -> TrialRecord | None:
    """The best trial, or the baseline where the best does not differ from it significantly.

    A baseline that failed or misses a constraint is never recommended; None when nothing is feasible.
    """
    found = comparison(study)
    if found.verdict == "same" and found.baseline is not None and found.baseline.state == "feasible":
        return found.baseline
    return found.best
