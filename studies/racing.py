"""The bar that a candidate is held to while it is measured: the best so far, and what is noise."""

from collections.abc import Iterable

from engines import statistics
from engines.values import Bar
from studies.noise import Noise, widened
from studies.records import Objective, TrialRecord


def bar_of(
    records: Iterable[TrialRecord], objectives: tuple[Objective, ...], noise: Noise | None
) -> Bar | None:
    """The end of the best feasible trial's interval that is nearest to the others.

    None before there is one, without a self-test, and where being slow is not being worse: with several
    objectives, or one that is not timed.
    """
    metric, direction = objectives[0].metric, objectives[0].direction
    if len(objectives) > 1 or metric not in statistics.TIMINGS or noise is None:
        return None
    values = [
        widened(record.metrics[metric], noise)
        for record in records
        if record.state == "feasible" and metric in record.metrics
    ]
    values = [value for value in values if value.low is not None and value.high is not None]
    if not values:
        return None
    best = min(values, key=lambda value: value.value if direction == "minimize" else -value.value)
    limit = best.high if direction == "minimize" else best.low
    assert limit is not None
    return Bar(limit, noise.between) if limit > 0 else None
