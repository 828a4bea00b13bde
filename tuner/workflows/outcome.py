"""What a search ended with, for people and for other programs."""

from dataclasses import dataclass
from pathlib import Path

from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from studies.run.limits import Ending, Limits
from studies.search.stopping import Left
from tuner.documents.base import finite
from tuner.documents.study import EndedSearch, study_fields


@dataclass(frozen=True)
class Outcome:
    """What a search ended with.

    `exported` is the folder of the engine that is recommended, None when nothing is feasible; `new_trials`
    counts those that this run added to the study, and `new_repeats` what it measured again. `left` is what
    going on might still gain, None where nobody can tell.
    """

    study: StudyRecord
    ending: Ending
    report: Path
    exported: Path | None
    new_trials: int
    new_repeats: int = 0
    limits: Limits | None = None
    left: Left | None = None


def outcome_document(outcome: Outcome) -> EndedSearch:
    """Return what a search ended with, the whole study included."""
    left = outcome.left
    return EndedSearch(
        **study_fields(StudyView(outcome.study)),
        ending=outcome.ending,
        left_to_gain=finite(left.gain) if left else None,
        chance_of_more=finite(left.chance) if left else None,
        least_gain=finite(left.least) if left else None,
        new_trials=outcome.new_trials,
        report=str(outcome.report),
        exported=str(outcome.exported) if outcome.exported else None,
    )
