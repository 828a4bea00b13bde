"""Certify deadlines: bound a percentile of the latency from above, with stated confidence.

A certificate holds for the conditions of the measurement only, and takes its samples as independent draws
from them. For correlated samples, pass the `design_effect` of their blocks (`engines.statistics.estimates`).
A disturbance that is too rare to occur during the measurement is not allowed for.
"""

from dataclasses import dataclass

import numpy as np

from engines.core.results import Measurement
from engines.core.values import Samples
from engines.statistics.distributions import clopper_pearson_upper, most_events
from engines.statistics.estimates import design_effect


@dataclass(frozen=True)
class Certificate:
    """Whether a percentile of the latency is within a deadline: `holds` if it is, with the confidence.

    A miss is a latency above the deadline. `miss_rate_high` is the upper bound of the miss rate, as a
    fraction, at the confidence. `design_effect` is the one that was allowed for.
    """

    deadline_ms: float
    percentile: float
    confidence: float
    samples: int
    misses: int
    miss_rate_high: float
    holds: bool
    design_effect: float = 1.0


def certify(
    latencies: Samples,
    deadline_ms: float,
    percentile: float = 99.0,
    confidence: float = 0.95,
    design_effect: float = 1.0,
) -> Certificate:
    """Return the certificate by the exact binomial test: 299 samples without a miss show p99 at 95 %.

    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    samples = len(latencies)
    # counted like this, NaN is a miss
    misses = samples - int(np.count_nonzero(latencies <= deadline_ms))
    return Certificate(
        deadline_ms=deadline_ms,
        percentile=percentile,
        confidence=confidence,
        samples=samples,
        misses=misses,
        miss_rate_high=clopper_pearson_upper(misses, samples, confidence, design_effect),
        holds=misses <= _allowed(samples, percentile, confidence, design_effect),
        design_effect=design_effect,
    )


def upper_bound(
    latencies: Samples, percentile: float = 99.0, confidence: float = 0.95, design_effect: float = 1.0
) -> float | None:
    """Return an upper bound of the percentile, itself a sample; None if there are too few samples.

    A certificate holds for every deadline that is at least this.
    """
    allowed = _allowed(len(latencies), percentile, confidence, design_effect)
    if allowed < 0:
        return None
    rank = len(latencies) - 1 - allowed
    return float(np.partition(latencies, rank)[rank])


def p99_bound(measurement: Measurement) -> float | None:
    """Return the upper bound of the 99th percentile at 95 % confidence, in ms; None if there are too few
    samples.

    Every timed inference counts, also those of disturbed blocks.
    """
    latencies = [block.latency_ms for block in (*measurement.blocks, *measurement.discarded)]
    return upper_bound(np.concatenate(latencies), design_effect=design_effect(latencies, 99.0))


def _allowed(samples: int, percentile: float, confidence: float, design_effect: float) -> int:
    """Return the most misses with which a deadline is still certified; -1 if there are too few samples."""
    most = most_events(samples, 1 - percentile / 100, confidence, design_effect)
    return -1 if most is None else most
