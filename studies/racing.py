"""The bar that a candidate is held to while it is measured: the best so far, and what is noise."""

from collections.abc import Iterable

from engines import statistics
from engines.racing import guarded_spread
from engines.values import Bar
from studies.noise import Noise
from studies.records import Objective, TrialRecord


def bar_of(
    records: Iterable[TrialRecord], objectives: tuple[Objective, ...], noise: Noise | None
) -> Bar | None:
    """The best feasible trial's value, and the spread of the noise, enlarged for the few runs behind it.

    None before there is one, without a self-test, and where being slow is not being worse: with several
    objectives, or one that is not timed.
    """
    metric, direction = objectives[0].metric, objectives[0].direction
    if len(objectives) > 1 or metric not in statistics.TIMINGS or noise is None:
        return None
    values = [
        record.metrics[metric].value
        for record in records
        if record.state == "feasible" and metric in record.metrics and not _was_cut_short(record)
    ]
    best = (min if direction == "minimize" else max)(values, default=0.0)
    return Bar(best, guarded_spread(noise.spread, noise.freedom)) if best > 0 else None


def _was_cut_short(record: TrialRecord) -> bool:
    return record.measurement is not None and record.measurement.behind
