"""How much measuring goes into being believed, beside the trials themselves."""

from dataclasses import dataclass, replace

from studies.core.metrics import METRICS, is_timed
from studies.core.records import Objective


@dataclass(frozen=True)
class Rigour:
    """What is measured more than once.

    `self_test_runs` of the baseline at the beginning, and one more every `anchor_every` trials; with
    `racing` a trial that is clearly worse than the best ends early. The best `finalists` that overlap are
    measured again in `sessions`, each a process of its own and `rounds` blocks in random order; `rebuilds`
    counts their cold rebuilds. Zero leaves a part out.
    """

    self_test_runs: int = 5
    anchor_every: int = 10
    racing: bool = True
    finalists: int = 4
    sessions: int = 5
    rounds: int = 5
    rebuilds: int = 0


TRIALS_ALONE = Rigour(self_test_runs=0, anchor_every=0, racing=False, finalists=0)


def fitting(rigour: Rigour, objectives: tuple[Objective, ...]) -> Rigour:
    """What of it can tell something of these objectives."""
    if not are_timed(objectives):
        return replace(TRIALS_ALONE, sessions=rigour.sessions, rounds=rigour.rounds)
    return replace(
        rigour,
        racing=rigour.racing and can_race(objectives),
        finalists=rigour.finalists if can_have_finals(objectives) else 0,
    )


def are_timed(objectives: tuple[Objective, ...]) -> bool:
    """Whether the first objective differs from run to run, as what is timed does."""
    return is_timed(objectives[0].metric)


def can_have_finals(objectives: tuple[Objective, ...]) -> bool:
    """Whether there is one winner to be found, and by measuring again."""
    return len(objectives) == 1 and are_timed(objectives)


def can_race(objectives: tuple[Objective, ...]) -> bool:
    """Whether the timed blocks show early that a trial will be worse."""
    return can_have_finals(objectives) and METRICS[objectives[0].metric].raced
