"""Certify deadlines: every timed inference counts, those of disturbed blocks too."""

import numpy as np

from engines.core.results import Measurement
from engines.core.values import Samples
from engines.statistics.deadlines import Certificate, certify
from engines.statistics.estimates import design_effect
from studies.core.metrics import P99_BOUND
from studies.core.records import StudyRecord, TrialRecord

PERCENT = 99.0
# 299 prove p99 at 95 % without a miss; more of them allow a few misses
FEWEST_INFERENCES = 600


def deadline_of(study: StudyRecord) -> float | None:
    """Return the deadline that the study certifies, in ms; None without one."""
    limits = [one.limit for one in study.spec.constraints if one.metric == P99_BOUND]
    return min(limits, default=None)


def certificate(study: StudyRecord, trial: TrialRecord) -> Certificate | None:
    """Test the deadline on all measurements of the trial's engine; None without deadline or samples.

    Those of the finals count, which ran in other processes at other times, and of the baseline those of
    self-test and anchors; cold rebuilds are other engines. How little correlated inferences are worth is the
    worse of what the trial shows, whose inferences follow each other, and what differs from one measurement
    to the next.
    """
    deadline_ms = deadline_of(study)
    again = [
        one.measurement
        for one in study.repeats
        if one.trial == trial.number and one.build == 0 and one.measurement is not None
    ]
    if deadline_ms is None or trial.measurement is None:
        return None
    blocks = _latencies(trial.measurement)
    sessions = [np.concatenate(_latencies(one)) for one in (trial.measurement, *again)]
    effect = max(design_effect(blocks, PERCENT), design_effect(sessions, PERCENT))
    return certify(np.concatenate(sessions), deadline_ms, PERCENT, design_effect=effect)


def _latencies(measurement: Measurement) -> list[Samples]:
    return [block.latency_ms for block in (*measurement.blocks, *measurement.discarded)]
