"""The bar that a candidate is held to while it is measured: the best so far, and what is noise."""

from collections.abc import Iterable
from datetime import datetime

from engines.core.values import Bar
from engines.statistics.futility import guarded_spread
from studies.belief.baseline_runs import Drift, freed
from studies.belief.noise import Noise
from studies.belief.rigour import can_race
from studies.core.records import Direction, Objective, TrialRecord


def bar_of(
    records: Iterable[TrialRecord],
    objectives: tuple[Objective, ...],
    noise: Noise | None,
    change: Drift | None = None,
    at: datetime | None = None,
) -> Bar | None:
    """The best feasible trial's value, and the spread of the noise, enlarged for the few runs behind it.

    With a drift it is the value that the trial would have `at` the time. What was measured in another study
    sets no bar: nobody knows what drifted since. None before there is one, without a self-test, and where
    nothing can race.
    """
    metric, direction = objectives[0].metric, objectives[0].direction
    if noise is None or not can_race(objectives):
        return None
    values = [
        freed(record.metrics[metric], record, change).value
        for record in records
        if record.state == "feasible" and metric in record.metrics and _was_measured_here(record)
    ]
    best = (min if direction == "minimize" else max)(values, default=0.0)
    if best <= 0:
        return None
    return Bar(best * _level(change, direction, at), guarded_spread(noise.spread, noise.freedom))


def _was_measured_here(record: TrialRecord) -> bool:
    """To its end, and by this study."""
    return not record.reused and not (record.measurement is not None and record.measurement.pruned)


def _level(change: Drift | None, direction: Direction, at: datetime | None) -> float:
    """The baseline now relative to the beginning: as last seen or as expected, whichever is more lenient."""
    if change is None or at is None:
        return 1.0
    lenient = max if direction == "minimize" else min
    return lenient(change.level(at), change.expected_level(at))
