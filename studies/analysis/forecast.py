"""Estimate how long the rest of a search takes, from the seconds of its trials so far, from trial 0 on.

A trial costs its graph and its engine if it is the first to need them, and its measurement in any case. The
means of those three, and the expected numbers of new graphs and engines, give the time that is left.
"""

import math
import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from engines.core.results import Artifact, Evaluation
from engines.core.values import Settings
from studies.belief.measurement_plan import MeasurementPlan
from studies.core import space as spaces
from studies.core.records import StudySpec, TrialRecord
from studies.finals.verdict import FEWEST_SESSIONS

# graphs, engines and measurements of one model take up to so many times as long as one another, either way;
# what is known of a mean of them narrows with the root of their number
SPREAD = 2.0
# seconds to start a process for a finalist: Python, the vendor's library, querying the machine
START_SECONDS = 2.0
# trials that weigh as much as the prior that candidates are drawn at random
TRIALS_OF_HABIT = 5.0


@dataclass(frozen=True)
class Seconds:
    """An estimated time: its expected, least and greatest value."""

    expected: float
    least: float
    most: float

    def __add__(self, other: "Seconds") -> "Seconds":
        return self.each(operator.add, other)

    def each(self, function: Callable[..., float], *others: "Seconds") -> "Seconds":
        """Apply the function to each of the three, with the same one of the others."""
        return Seconds(
            function(self.expected, *(other.expected for other in others)),
            function(self.least, *(other.least for other in others)),
            function(self.most, *(other.most for other in others)),
        )


NO_TIME = Seconds(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Forecast:
    """What is left of a search that has `trials` still to make: making graphs and engines, measuring (anchors
    included), and the finals.
    """

    trials: int
    builds: Seconds
    measuring: Seconds
    finals: Seconds

    @property
    def searching(self) -> Seconds:
        return self.builds + self.measuring

    @property
    def total(self) -> Seconds:
        return self.searching + self.finals

    def within(self, searching: float, whole: float, measurement_plan: MeasurementPlan) -> "Forecast":
        """Limit the forecast to so many seconds of searching, and of the search and its finals as a whole.

        Some sessions of the finals are held even after that.
        """

        def share(wanted: float) -> float:
            return min(1.0, searching / wanted) if wanted else 1.0

        def rest(finals: float, wanted: float) -> float:
            return min(finals, max(always_held(measurement_plan) * finals, whole - min(searching, wanted)))

        before = self.searching
        shares = before.each(share)
        return Forecast(
            trials=int(self.trials * shares.expected),
            builds=self.builds.each(operator.mul, shares),
            measuring=self.measuring.each(operator.mul, shares),
            finals=self.finals.each(rest, before),
        )


@dataclass(frozen=True)
class Extent:
    """The size of a space: its numbers of different candidates, engines and graphs."""

    candidates: int
    engines: int
    graphs: int


def extent_of(space: spaces.Space) -> Extent:
    return Extent(spaces.size(space), spaces.engines_in(space), spaces.graphs_in(space))


def forecast(
    spec: StudySpec,
    extent: Extent,
    records: Sequence[TrialRecord],
    measurement_plan: MeasurementPlan,
    trials: int,
) -> Forecast | None:
    """Return what is left of a study of so many trials in all; None before the baseline or any other trial
    ran.
    """
    if all(one.measurement is None for one in records):
        return None
    left = max(0, min(trials, _most_trials(spec, extent)) - len(records))
    # a baseline that failed is not measured again, and there are no finals
    has_baseline = records[0].measurement is not None
    again = _baseline_runs(measurement_plan, len(records), left) * _measuring(records[0]) * has_baseline
    measuring = _times(_Mean.of([_measuring(one) for one in records if _was_measured_here(one)]), left)
    return Forecast(
        trials=left,
        builds=_making(extent.graphs, extent, records, left, _graph_key, _graph_seconds)
        + _making(extent.engines, extent, records, left, _engine_key, _engine_seconds),
        measuring=measuring + Seconds(again, again, again),
        finals=_finals(records[0].evaluation, measurement_plan, len(records) + left)
        if has_baseline
        else NO_TIME,
    )


def making_seconds(evaluation: Evaluation) -> float:
    """Return the seconds that graph and engine took when they were made, now or before."""
    return _graph_seconds(evaluation) + _engine_seconds(evaluation)


def trial_seconds(evaluation: Evaluation) -> float:
    """Return the seconds that the evaluation would have taken if nothing had been made before."""
    stages = evaluation.stage_seconds
    return making_seconds(evaluation) + sum(
        seconds for stage, seconds in stages.items() if stage not in ("graph", "build")
    )


def _graph_key(record: TrialRecord) -> Settings:
    return record.candidate.graph


def _engine_key(record: TrialRecord) -> tuple[Settings, Settings]:
    return record.candidate.graph, record.candidate.build


@dataclass(frozen=True)
class _Mean:
    """The mean of some times, and by what factor it may be wrong."""

    value: float
    factor: float

    @staticmethod
    def of(times: Sequence[float]) -> "_Mean":
        count = len(times)
        return _Mean(sum(times) / count if count else 0.0, SPREAD ** (1 / math.sqrt(max(1, count))))


def _times(mean: _Mean, count: float, least: float | None = None, most: float | None = None) -> Seconds:
    """Multiply the mean by a count between a least and a greatest."""
    fewest, greatest = (count if bound is None else bound for bound in (least, most))
    return Seconds(count * mean.value, fewest * mean.value / mean.factor, greatest * mean.value * mean.factor)


def _making(
    in_all: int,
    extent: Extent,
    records: Sequence[TrialRecord],
    left: int,
    key: Callable[[TrialRecord], Hashable],
    seconds: Callable[[Evaluation], float],
) -> Seconds:
    """Estimate the seconds for making the graphs or engines of so many more trials; each is made once."""
    # the first with a key made it; one that failed before it got there took no time for it
    first: dict[Hashable, TrialRecord] = {}
    for record in records:
        first.setdefault(key(record), record)
    took = [seconds(one.evaluation) for one in first.values()]
    siblings = max(1, extent.candidates // max(1, in_all))
    rest, untried = extent.candidates - len(records), max(0, in_all - len(first))
    habit = (len(first) + TRIALS_OF_HABIT) / (
        _different(in_all, siblings, extent.candidates, len(records)) + TRIALS_OF_HABIT
    )
    most = min(left, untried)
    least = min(most, max(0, math.ceil((left - (rest - untried * siblings)) / siblings)))
    expected = min(most, max(least, habit * _different(untried, siblings, rest, left)))
    return _times(_Mean.of(took), expected, least, most)


def _different(groups: int, siblings: int, candidates: int, drawn: int) -> float:
    """Estimate how many different groups random candidates meet, when none is drawn twice."""
    if drawn > candidates - siblings:
        return float(groups) if drawn > 0 else 0.0
    # hypergeometric: probability that no draw is of this group
    missed = (
        math.lgamma(candidates - siblings + 1)
        + math.lgamma(candidates - drawn + 1)
        - math.lgamma(candidates - siblings - drawn + 1)
        - math.lgamma(candidates + 1)
    )
    return groups * (1 - math.exp(missed))


def _finals(baseline: Evaluation, measurement_plan: MeasurementPlan, trials: int) -> Seconds:
    """Estimate the seconds of sessions in which every finalist is loaded, warmed up, timed in turn and
    checked.
    """
    rivals = min(measurement_plan.finalists, trials - 1)
    if rivals < 1:
        return NO_TIME
    took = baseline.stage_seconds
    loading = START_SECONDS + sum(took.get(stage, 0.0) for stage in ("load", "check", "warm-up"))
    block = took.get("measure", 0.0) / max(1, len(baseline.measurement.blocks) if baseline.measurement else 1)

    def sessions(rivals: int) -> float:
        entries = 1 + rivals * (1 + measurement_plan.rebuilds)
        rebuilds = rivals * measurement_plan.rebuilds * making_seconds(baseline)
        # in the first session one is loaded after the other
        return (
            (entries + measurement_plan.sessions - 1) * loading
            + rebuilds
            + (measurement_plan.sessions * measurement_plan.rounds * entries * block)
        )

    return Seconds(sessions(rivals), sessions(1) / SPREAD, sessions(rivals) * SPREAD)


def always_held(measurement_plan: MeasurementPlan) -> float:
    """Return the share of the finals' sessions that is held even after the time limit."""
    return min(1.0, FEWEST_SESSIONS / measurement_plan.sessions)


def _most_trials(spec: StudySpec, extent: Extent) -> int:
    return extent.candidates + (not spaces.contains(spec.space, spec.baseline.settings))


def _baseline_runs(measurement_plan: MeasurementPlan, made: int, left: int) -> int:
    """Return how often the baseline is measured again: the self-test after trial 0, then anchors."""
    anchors = left // measurement_plan.anchor_every if measurement_plan.anchor_every else 0
    return (measurement_plan.self_test_runs if made <= 1 else 0) + anchors


def _was_measured_here(record: TrialRecord) -> bool:
    """Return whether it was measured in this study; trial 0 counts even if reused."""
    return record.number == 0 or not record.reused


def _measuring(record: TrialRecord) -> float:
    """Return the seconds of a trial except those of making its graph and engine."""
    stages = record.evaluation.stage_seconds
    making = stages.get("graph", 0.0) + stages.get("build", 0.0)
    whole = sum(stages.values()) if record.reused else max(record.seconds, sum(stages.values()))
    return max(0.0, whole - making)


def _graph_seconds(evaluation: Evaluation) -> float:
    return _made(evaluation.graph, evaluation.stage_seconds.get("graph", 0.0))


def _engine_seconds(evaluation: Evaluation) -> float:
    return _made(evaluation.engine, evaluation.stage_seconds.get("build", 0.0))


def _made(artifact: Artifact | None, took: float) -> float:
    """Return the seconds of making it: from an earlier trial if reused, and up to the failure if it
    failed.
    """
    if artifact is None or not artifact.reused:
        return took
    return float(artifact.facts.get("build_seconds", 0.0))
