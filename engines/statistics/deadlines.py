"""Whether a deadline is kept: a percentile of the latency bounded from above with stated confidence.

Samples are taken for independent draws of the conditions of the measurement; a certificate says nothing of
others. For samples that are correlated give the `design_effect` of their blocks
(`engines.statistics.estimates`). It allows for what the blocks show: a disturbance rarer than the measurement
is long is in neither.
"""

from dataclasses import dataclass

import numpy as np

from engines.core.results import Measurement
from engines.core.values import Samples
from engines.statistics.distributions import clopper_pearson_upper, most_events
from engines.statistics.estimates import design_effect


@dataclass(frozen=True)
class Certificate:
    """What so many samples say of a deadline: `holds` when the percentile is within it with the confidence.

    A miss is a latency beyond the deadline. `miss_rate_high` is the highest share of misses, as a fraction,
    that is compatible with the samples at the confidence. `design_effect` is what was allowed for.
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
    """The certificate by the exact binomial test: without a miss 299 samples show p99 at 95 %.

    C. J. Clopper and E. S. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).
    """
    samples = len(latencies)
    # so that no number at all is a miss
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
    """The sample that the percentile is at most, with the confidence; None when there are too few.

    A certificate holds for the deadlines that are at least this.
    """
    allowed = _allowed(len(latencies), percentile, confidence, design_effect)
    if allowed < 0:
        return None
    rank = len(latencies) - 1 - allowed
    return float(np.partition(latencies, rank)[rank])


def p99_bound(measurement: Measurement) -> float | None:
    """What the 99th percentile does not exceed with 95 % confidence, in ms; None with too few samples.

    Every timed inference counts, those of disturbed blocks too.
    """
    latencies = [block.latency_ms for block in (*measurement.blocks, *measurement.discarded)]
    return upper_bound(np.concatenate(latencies), design_effect=design_effect(latencies, 99.0))


def _allowed(samples: int, percentile: float, confidence: float, design_effect: float) -> int:
    """The most misses that a certificate bears; -1 when there are too few samples for any."""
    most = most_events(samples, 1 - percentile / 100, confidence, design_effect)
    return -1 if most is None else most
