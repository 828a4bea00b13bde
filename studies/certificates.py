"""Deadlines that a study certifies: every timed inference counts, those of disturbed blocks too."""

from collections.abc import Iterable

import numpy as np

from engines.deadlines import Certificate, certify, upper_bound
from engines.statistics import design_effect
from engines.values import Block, Measurement
from studies.records import StudyRecord, TrialRecord

BOUND = "p99_bound_ms"
PERCENT = 99.0
# 299 show p99 at 95 % without a miss; a few misses and correlation are to leave a certificate possible
FEWEST_INFERENCES = 1000


def p99_bound(measurement: Measurement) -> float | None:
    """What the 99th percentile does not exceed with 95 % confidence, in ms; None with too few samples."""
    blocks = _blocks([measurement])
    latencies = [block.latency_ms for block in blocks]
    return upper_bound(np.concatenate(latencies), PERCENT, design_effect=design_effect(latencies, PERCENT))


def deadline_of(study: StudyRecord) -> float | None:
    """The deadline that the study certifies, in ms; None without one."""
    limits = [one.limit for one in study.spec.constraints if one.metric == BOUND]
    return min(limits, default=None)


def certificate(study: StudyRecord, trial: TrialRecord) -> Certificate | None:
    """What all measurements of the trial's engine say of the deadline; None without deadline or samples.

    Those of the finals count, which ran in other processes at other times; cold rebuilds are other engines.
    """
    deadline_ms = deadline_of(study)
    finals = [
        one.measurement
        for one in study.repeats
        if one.trial == trial.number and one.build == 0 and one.measurement is not None
    ]
    measurements = [one for one in (trial.measurement, *finals) if one is not None]
    latencies = [block.latency_ms for block in _blocks(measurements)]
    if deadline_ms is None or not latencies:
        return None
    effect = design_effect(latencies, PERCENT)
    return certify(np.concatenate(latencies), deadline_ms, PERCENT, design_effect=effect)


def _blocks(measurements: Iterable[Measurement]) -> list[Block]:
    return [block for one in measurements for block in (*one.blocks, *one.discarded)]
