"""Compute the value that a candidate must reach while it is measured: the best so far, with its noise."""

from collections.abc import Iterable
from datetime import datetime

from engines.core.values import Bar
from engines.statistics.futility import guarded_spread
from studies.belief.devices import Beliefs
from studies.belief.measurement_plan import can_race
from studies.belief.noise import Drift
from studies.core.records import Direction, Objective, TrialRecord


def bar_of(
    records: Iterable[TrialRecord],
    objectives: tuple[Objective, ...],
    beliefs: Beliefs,
    device: str = "",
    at: datetime | None = None,
) -> Bar | None:
    """The best feasible trial's value on the device, and the spread of the noise there, enlarged for the few
    runs behind it.

    With a drift it is the value that the trial would have `at` the time. What was measured in another study
    sets no bar: nobody knows what drifted since. None before there is one, without a self-test on the device,
    and where nothing can race.
    """
    metric, direction = objectives[0].metric, objectives[0].direction
    here = beliefs.of(device)
    noise = here.noise
    if noise is None or not can_race(objectives):
        return None
    values = [
        beliefs.freed(record.metrics[metric], record, metric).value
        for record in records
        if record.state == "feasible" and metric in record.metrics and _was_measured_here(record)
    ]
    best = (min if direction == "minimize" else max)(values, default=0.0)
    if best <= 0:
        return None
    level = here.levels.get(metric, 1.0) * _drifted(here.drift, direction, at)
    return Bar(best * level, guarded_spread(noise.spread, noise.freedom))


def most_lenient(bars: Iterable[Bar | None], direction: Direction) -> Bar | None:
    """Return the bar that is valid whichever device a trial gets; None if one of them has none."""
    found = list(bars)
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    sign = 1 if direction == "minimize" else -1
    return max(known, key=lambda one: (sign * one.value, one.spread))


def _was_measured_here(record: TrialRecord) -> bool:
    """Return whether it was measured to its end, and by this study."""
    return not record.reused and not (record.measurement is not None and record.measurement.pruned)


def _drifted(change: Drift | None, direction: Direction, at: datetime | None) -> float:
    """Return the baseline now relative to the beginning: as last seen or extrapolated, whichever is more
    lenient.
    """
    if change is None or at is None:
        return 1.0
    lenient = max if direction == "minimize" else min
    return lenient(change.level(at), change.expected_level(at))
