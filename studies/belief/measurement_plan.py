"""Decide what a search measures more than once: self-test, anchors, finals and rebuilds."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from studies.core.options import Count, Help, Name, Range

if TYPE_CHECKING:
    from studies.core.records import Objective

OFF = Range(0, hint="0 turns it off.")


@dataclass(frozen=True)
class MeasurementPlan:
    """What is measured more than once.

    `self_test_runs` of the baseline at the beginning, and one more every `anchor_every` trials; with
    `racing` a trial that is clearly worse than the best ends early. The best `finalists` that overlap are
    measured again in `sessions`, each a process of its own and `rounds` blocks in random order; `rebuilds`
    counts their cold rebuilds. Zero leaves a part out.
    """

    self_test_runs: Annotated[
        Count,
        Name("self_test"),
        OFF,
        Help("Times that the baseline is measured again, to know the machine's noise."),
    ] = 5
    anchor_every: int = 10
    racing: Annotated[bool, Help("Stop measuring what is clearly worse than the best.")] = True
    finalists: Annotated[
        Count, OFF, Help("The best that are measured again in turn before one is called the winner.")
    ] = 4
    sessions: int = 5
    rounds: int = 5
    rebuilds: Annotated[
        Count,
        Name("rebuild_finalists"),
        OFF,
        Help("Times that each finalist is built anew with cold caches, to tell luck from settings."),
    ] = 0


TRIALS_ALONE = MeasurementPlan(self_test_runs=0, anchor_every=0, racing=False, finalists=0)


def fitting(measurement_plan: MeasurementPlan, objectives: "tuple[Objective, ...]") -> MeasurementPlan:
    """Return the parts that are meaningful for these objectives; anchors need a self-test."""
    if not are_timed(objectives):
        return replace(TRIALS_ALONE, sessions=measurement_plan.sessions, rounds=measurement_plan.rounds)
    return replace(
        measurement_plan,
        anchor_every=measurement_plan.anchor_every if measurement_plan.self_test_runs else 0,
        racing=measurement_plan.racing and can_race(objectives),
        finalists=measurement_plan.finalists if can_have_finals(objectives) else 0,
    )


def are_timed(objectives: "tuple[Objective, ...]") -> bool:
    """Return whether the first objective differs from run to run, as timed metrics do."""
    # loads numpy, which --help need not wait for
    from studies.core.metrics import is_timed

    return is_timed(objectives[0].metric)


def can_have_finals(objectives: "tuple[Objective, ...]") -> bool:
    """Return whether there is a single winner, and measuring again can find it."""
    return len(objectives) == 1 and are_timed(objectives)


def can_race(objectives: "tuple[Objective, ...]") -> bool:
    """Return whether the timed blocks show early that a trial will be worse."""
    from studies.core.metrics import METRICS

    return can_have_finals(objectives) and METRICS[objectives[0].metric].raced
