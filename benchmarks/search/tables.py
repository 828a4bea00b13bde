"""The figures as plain text."""

import math
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.search.contest import Result
from benchmarks.search.figures import (
    SHARES,
    TIME_SHARES,
    Figures,
    Interval,
    Stopping,
    figures_of,
    overall,
    ratio,
    stopping_of,
)
from benchmarks.search.searches import TIMES_TRIALS
from benchmarks.search.world import World

# what a strategy's time is compared with
RIVALS = ("random", "tpe", "gp")


def all_figures(results: Sequence[Result], trials: int) -> list[list[Figures]]:
    """Of every landscape, and of all together where there are several."""
    found = [
        [figures_of(searches, trials, result.seconds) for searches in result.searches.values()]
        for result in results
    ]
    if len(results) > 1:
        names = list(results[0].searches)
        found.append(
            [
                overall([some[at] for some in found], [one.searches[name] for one in results], trials)
                for at, name in enumerate(names)
            ]
        )
    return found


def lines_of(results: Sequence[Result], trials: int, min_gain: float) -> Iterator[str]:
    """Everything that is printed below the heading."""
    tables = all_figures(results, trials)
    is_pareto = len(results[0].world.objectives) > 1
    yield from _legend(trials, is_pareto)
    for result, figures in zip(results, tables, strict=False):
        yield ""
        yield f"{_about(result.world)}; {trials} random trials take {result.seconds:.0f} s"
        yield from _table(figures, trials)
    if len(tables) > len(results):
        yield ""
        yield f"all {len(results)} landscapes, each counting the same"
        yield from _table(tables[-1], trials)
    yield from _ratios(results)
    yield from _stops(results, trials, min_gain)


def _legend(trials: int, is_pareto: bool) -> Iterator[str]:
    gap = (
        "how much of the hypervolume is missing" if is_pareto else "of the incumbent's true value to the best"
    )
    late = TIMES_TRIALS * trials
    yield ""
    yield f"gap         {gap}, percent:"
    yield f"            mean and half of its 95 % interval over seeds, after {trials} trials (with the"
    yield "            baseline) and earlier, and after shares of the time that random search takes for them"
    yield "trials, s   until the best is as good as found for the first time: a gap of at most 1 %, or of"
    yield "            what the recording cannot tell apart: medians, and the mean; late took more"
    yield f"            than {late} trials: models go on at random from there; > is never, as noise hid the"
    yield "            best, and counts in the mean with the time of trying everything"
    yield f"close       share after {trials} trials, as are engines and graphs made, and none feasible"
    yield "ms          of real time to ask and tell a trial; it is not on the simulated clock"


def _about(world: World) -> str:
    places = len(world.inside)
    whole = "all of the space" if world.is_whole else "part of the space"
    made_up = ", made up" if world.is_made_up else ""
    asked = ", ".join(f"{one.metric} ({one.direction})" for one in world.objectives)
    limits = " and ".join(map(str, world.constraints)) or "no limit"
    return (
        f"{world.name}{made_up}: {asked}, {limits}; {places} candidates ({whole}), "
        f"{world.truths.feasible[world.inside].mean():.0%} feasible, close is {world.truths.close:.1f} %"
    )


def _table(figures: Iterable[Figures], trials: int) -> Iterator[str]:
    after = [f"{round(share * trials)} trials" for share in SHARES]
    by = [f"{share:.0%} time" for share in TIME_SHARES]
    gaps = "".join(f"{name:>14}" for name in (*after, *by))
    closes = f"{'trials':>8}{'s':>9}{'mean s':>16}{'late':>6}{'close':>17}"
    yield f"{'strategy':14}{gaps}{closes}{'engines':>8}{'graphs':>7}{'none':>6}{'ms':>7}"
    for one in figures:
        gaps = "".join(f"{_plus_minus(gap):>14}" for gap in (*one.by_trials, *one.by_time))
        share = f"{one.close.value:.0%} ({one.close.low:.0%}-{one.close.high:.0%})"
        yield (
            f"{one.strategy:14}{gaps}{_median(one.close_trials):>8}{_median(one.close_seconds):>9}"
            f"{_plus_minus(one.mean_seconds):>16}{one.late:>6.0%}{share:>17}{one.engines:>8.1f}"
            f"{one.graphs:>7.1f}{one.infeasible:>6.0%}{1000 * one.asking:>7.2f}"
        )


def _ratios(results: Sequence[Result]) -> Iterator[str]:
    names = list(results[0].searches)
    rivals = [name for name in RIVALS if name in names]
    yield ""
    yield "mean time until close, as a share of another's: geometric mean over landscapes"
    yield f"{'strategy':14}" + "".join(f"{'to ' + name:>22}" for name in rivals)
    for name in names:
        cells = (
            _interval(
                ratio([one.searches[name] for one in results], [one.searches[rival] for one in results])
            )
            if name != rival
            else ""
            for rival in rivals
        )
        yield f"{name:14}" + "".join(f"{cell:>22}" for cell in cells)


def stops_of(results: Sequence[Result], trials: int) -> list[Stopping]:
    found = (stopping_of(searches, trials) for one in results for searches in one.searches.values())
    return [one for one in found if one is not None]


def _stops(results: Sequence[Result], trials: int, min_gain: float) -> Iterator[str]:
    stops = stops_of(results, trials)
    if not stops:
        return
    yield ""
    yield f"where it stops, as {min_gain:.1%} more is unlikely to be found, at most {trials} trials"
    ends = f"{'gap %':>14}{'close':>8}{'twice':>7}"
    yield f"{'landscape':40}{'strategy':14}{'stopped':>8}{'after trials':>16}{ends}"
    for one in stops:
        yield (
            f"{one.landscape:40}{one.strategy:14}{one.stopped:>8.0%}{_plus_minus(one.trials):>16}"
            f"{_plus_minus(one.gap):>14}{one.close:>8.0%}{one.closer_than_twice:>7.0%}"
        )


def _plus_minus(one: Interval) -> str:
    digits = 0 if abs(one.value) >= 1000 else 1 if abs(one.value) >= 100 else 2
    return f"{one.value:.{digits}f} ±{(one.high - one.low) / 2:.{digits}f}"


def _interval(one: Interval) -> str:
    return f"{one.value:.2f} ({one.low:.2f}-{one.high:.2f})"


def _median(value: float) -> str:
    if math.isnan(value):
        return ""
    return ">" if math.isinf(value) else f"{value:.0f}"
