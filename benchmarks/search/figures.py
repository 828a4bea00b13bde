"""What many searches of a landscape show: means with 95 % intervals over seeds.

A search goes on until it has come close. One that never did, since noise hid the best from it, counts with
the time of trying everything, and in medians as infinite.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.search.places import Floats
from benchmarks.search.searches import TIMES_TRIALS, Search
from engines.statistics.distributions import student_t
from studies.search.stopping import FEWEST_TRIALS, Left, is_converged

# shares of the trials asked for, and of the time that random search takes for all of them
SHARES = (0.2, 0.5, 1.0)
TIME_SHARES = (0.1, 0.25, 0.5)
BOOTSTRAPS = 1000
NORMAL_95 = 1.96
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Interval:
    """A mean or a share, and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figures:
    """One strategy on one landscape, or the mean over all landscapes.

    Gaps are in percent, `by_trials` at SHARES of the trials, `by_time` at TIME_SHARES; `close_trials` and
    `close_seconds` are medians until the gap is `Search.close`, `mean_seconds` the mean, `late` the share
    of those that took more than TIMES_TRIALS times the trials. The rest is as of the last of the trials asked
    for: the share that is close, engines and graphs made, the share without anything feasible. `asking` are
    seconds a trial.
    """

    landscape: str
    strategy: str
    searches: int
    by_trials: tuple[Interval, ...]
    by_time: tuple[Interval, ...]
    close_trials: float
    close_seconds: float
    mean_seconds: Interval
    late: float
    close: Interval
    engines: float
    graphs: float
    infeasible: float
    asking: float


@dataclass(frozen=True)
class Stopping:
    """How searches would have ended had they stopped by themselves: at which trial, and with which gap."""

    landscape: str
    strategy: str
    stopped: float
    trials: Interval
    gap: Interval
    close: float
    closer_than_twice: float


def figures_of(searches: Sequence[Search], trials: int, seconds: float) -> Figures:
    """Of one strategy's searches of one landscape; `seconds` is what random search takes for the trials."""
    first = searches[0]
    closes = [one.close_at() for one in searches]
    return Figures(
        first.landscape,
        first.strategy,
        len(searches),
        tuple(mean_of([gap_after(one, round(share * trials)) for one in searches]) for share in SHARES),
        tuple(mean_of([gap_by(one, share * seconds) for one in searches]) for share in TIME_SHARES),
        float(np.median([math.inf if close is None else close + 1 for close in closes])),
        float(np.median([math.inf if one.close_at() is None else close_seconds(one) for one in searches])),
        mean_of([close_seconds(one) for one in searches]),
        float(np.mean([close is None or close >= TIMES_TRIALS * trials for close in closes])),
        share_of([gap_after(one, trials) <= one.close and _at(one.found, trials) for one in searches]),
        float(np.mean([_at(one.engines, trials) for one in searches])),
        float(np.mean([_at(one.graphs, trials) for one in searches])),
        float(np.mean([not _at(one.found, trials) for one in searches])),
        float(np.mean([one.asking for one in searches])),
    )


def overall(figures: Sequence[Figures], searches: Sequence[Sequence[Search]], trials: int) -> Figures:
    """One strategy over all landscapes, each of which counts the same; intervals are over seeds."""

    def mean(of: Callable[[Figures], float]) -> float:
        return float(np.mean([of(one) for one in figures]))

    def together(of: Callable[[Figures], Interval]) -> Interval:
        # independent over landscapes, so variances of means add
        value, half = mean(lambda one: of(one).value), [(of(one).high - of(one).low) / 2 for one in figures]
        width = math.sqrt(sum(one**2 for one in half)) / len(half)
        return Interval(value, value - width, value + width)

    every = [one for some in searches for one in some]
    closes = [one.close_at() for one in every]
    return Figures(
        "all",
        figures[0].strategy,
        len(every),
        tuple(together(lambda one, at=at: one.by_trials[at]) for at in range(len(SHARES))),  # type: ignore[misc]
        tuple(together(lambda one, at=at: one.by_time[at]) for at in range(len(TIME_SHARES))),  # type: ignore[misc]
        float(np.median([math.inf if close is None else close + 1 for close in closes])),
        math.nan,
        together(lambda one: one.mean_seconds),
        mean(lambda one: one.late),
        share_of([gap_after(one, trials) <= one.close and _at(one.found, trials) for one in every]),
        mean(lambda one: one.engines),
        mean(lambda one: one.graphs),
        mean(lambda one: one.infeasible),
        mean(lambda one: one.asking),
    )


def ratio(ours: Sequence[Sequence[Search]], theirs: Sequence[Sequence[Search]]) -> Interval:
    """Mean time to come close by that of others, the geometric mean over landscapes.

    The interval is by bootstrap over the searches of each.
    """
    random = np.random.default_rng(0)
    times = [[np.array([close_seconds(one) for one in some]) for some in both] for both in (ours, theirs)]

    def mean(draw: bool) -> float:
        logs = [[math.log(_drawn(one, random, draw).mean()) for one in both] for both in times]
        return math.exp(float(np.mean(logs[0]) - np.mean(logs[1])))

    low, high = np.quantile([mean(True) for _ in range(BOOTSTRAPS)], (0.025, 0.975))
    return Interval(mean(False), float(low), float(high))


def stopping_of(searches: Sequence[Search], trials: int) -> Stopping | None:
    """Where the strategy would have stopped within the trials; None where it never says what is left."""
    if not any(left for one in searches for left in one.left):
        return None
    stops = [stop_at(one, trials) for one in searches]
    ends = [
        min(trials, len(one.tried)) if stop is None else stop
        for one, stop in zip(searches, stops, strict=True)
    ]
    gaps = [gap_after(one, end) for one, end in zip(searches, ends, strict=True)]
    return Stopping(
        searches[0].landscape,
        searches[0].strategy,
        float(np.mean([stop is not None for stop in stops])),
        mean_of(ends),
        mean_of(gaps),
        float(np.mean([gap <= searches[0].close for gap in gaps])),
        float(np.mean([gap <= 2 * searches[0].close for gap in gaps])),
    )


def stop_at(search: Search, trials: int) -> int | None:
    """After how many trials the tuner stops; None where that was not within the trials."""
    told = enumerate(search.left[:trials], 1)
    some = (n for n, left in told if n >= FEWEST_TRIALS and is_converged(left and Left(*left)))
    return next(some, None)


def gap_after(search: Search, trials: int) -> float:
    """After so many trials, or at the end of the space."""
    return _at(search.gaps, trials)


def gap_by(search: Search, seconds: float) -> float:
    """At that time; the baseline's until there is more, as that is what one has without searching."""
    done = int(np.searchsorted(search.seconds, seconds, side="right"))
    return search.gaps[max(0, done - 1)]


def close_seconds(search: Search) -> float:
    """The time to come close; that of trying everything where it never did."""
    close = search.close_at()
    return search.seconds[-1 if close is None else close]


def mean_of(values: Sequence[float]) -> Interval:
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, mean, mean)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = student_t(0.975, len(values) - 1) * error
    return Interval(mean, mean - half, mean + half)


def share_of(hits: Sequence[bool]) -> Interval:
    """E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927)."""
    count, share, z = len(hits), sum(hits) / len(hits), NORMAL_95**2
    middle = (share + z / (2 * count)) / (1 + z / count)
    half = math.sqrt(z * (share * (1 - share) / count + z / (4 * count**2))) / (1 + z / count)
    return Interval(share, middle - half, middle + half)


def _at(column: Sequence[Entry], trials: int) -> Entry:
    return column[min(trials, len(column)) - 1]


def _drawn(values: Floats, random: np.random.Generator, draw: bool) -> Floats:
    return values[random.integers(len(values), size=len(values))] if draw else values
