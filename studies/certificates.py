"""Deadlines that a study certifies: every timed inference counts, those of disturbed blocks too."""

from collections.abc import Iterable

import numpy as np

from engines.deadlines import Certificate, certify
from engines.statistics import design_effect
from engines.values import Block, Measurement
from studies.records import StudyRecord, TrialRecord

BOUND = "p99_bound_ms"
PERCENT = 99.0
# 299 show p99 at 95 % without a miss; a few misses are to leave a certificate possible
FEWEST_INFERENCES = 600


def deadline_of(study: StudyRecord) -> float | None:
    """The deadline that the study certifies, in ms; None without one."""
    limits = [one.limit for one in study.spec.constraints if one.metric == BOUND]
    return min(limits, default=None)


def certificate(study: StudyRecord, trial: TrialRecord) -> Certificate | None:
    """What all measurements of the trial's engine say of the deadline; None without deadline or samples.

    Those of the finals count, which ran in other processes at other times; cold rebuilds are other engines.
    How much correlated inferences are worth is taken from the trial, whose inferences follow each other.
    """
    deadline_ms = deadline_of(study)
    finals = [
        one.measurement
        for one in study.repeats
        if one.trial == trial.number and one.build == 0 and one.measurement is not None
    ]
    if deadline_ms is None or trial.measurement is None:
        return None
    effect = design_effect([block.latency_ms for block in _blocks([trial.measurement])], PERCENT)
    latencies = [block.latency_ms for block in _blocks([trial.measurement, *(one for one in finals if one)])]
    return certify(np.concatenate(latencies), deadline_ms, PERCENT, design_effect=effect)


def _blocks(measurements: Iterable[Measurement]) -> list[Block]:
    return [block for one in measurements for block in (*one.blocks, *one.discarded)]
