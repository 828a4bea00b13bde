"""What racing saved: trials whose measuring was stopped early, against those measured to the end."""

from typing import NamedTuple

import numpy as np

from dashboards.telemetry import is_behind
from engines.results import Measurement
from studies.records import StudyRecord

# the median of fewer says too little of what the others would have taken
FEWEST_COMPLETE = 3


class StoppedEarly(NamedTuple):
    """The numbers of the trials, and about how many seconds of measuring were saved (None: not known)."""

    trials: tuple[int, ...]
    saved_seconds: float | None


def stopped_early(study: StudyRecord) -> StoppedEarly:
    """Savings are what each lacks of the median span of the trials that this study measured to the end."""
    spans = {
        trial.number: _span(trial.measurement)
        for trial in study.trials
        if trial.measurement is not None and not trial.reused and trial.same_as is None
    }
    behind = tuple(trial.number for trial in study.trials if is_behind(trial))
    complete = [span for number, span in spans.items() if number not in behind]
    if len(complete) < FEWEST_COMPLETE or not behind:
        return StoppedEarly(behind, None)
    usual = float(np.median(complete))
    return StoppedEarly(behind, sum(max(0.0, usual - spans.get(number, usual)) for number in behind))


def _span(measurement: Measurement) -> float:
    blocks = (*measurement.blocks, *measurement.cold, *measurement.discarded)
    return sum(block.span_seconds for block in blocks)
