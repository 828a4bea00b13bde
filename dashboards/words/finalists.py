"""The finals for readers: each finalist in words, and what each session found."""

import math
from typing import NamedTuple

from dashboards.words import formats
from dashboards.words import verdict as wording
from engines.statistics.estimates import Estimate
from studies.core.records import Objective, StudyRecord
from studies.finals.verdict import BASELINE, Finalist, Finals, Key, log_ratios, sessions_of, verdict_of

COLUMNS = ("finalist", "value", "against the winner", "against the baseline", "out of the race")


class Row(NamedTuple):
    """One finalist for the table, in the order of COLUMNS."""

    name: str
    value: str
    against_winner: str
    against_baseline: str
    out: str


def rows(study: StudyRecord, held: Finals) -> list[tuple[Finalist, Row]]:
    """Return the finalists, the best value first."""
    objective = study.spec.objectives[0]
    return [(one, _row(one, held, objective)) for one in held.finalists]


def name_of(finalist: Finalist) -> str:
    """Return the finalist's name: the baseline, or the number of trial and rebuild."""
    if _is_baseline(finalist):
        return "baseline"
    return f"trial {finalist.trial}" + (f", rebuild {finalist.build}" if finalist.build else "")


def is_winner(finalist: Finalist, held: Finals) -> bool:
    return (finalist.trial, finalist.build) == (held.winner.trial, held.winner.build)


def session_ratios(study: StudyRecord, held: Finals, other: Key) -> dict[Key, list[float]]:
    """Return each session's ratio of each finalist to another one; more than 1 is better."""
    values = sessions_of(study, held.after)
    direction = study.spec.objectives[0].direction
    return {
        key: [math.exp(log) for log in log_ratios(of, values[other], direction)]
        for key, of in values.items()
        if key != other and other in values
    }


def _row(one: Finalist, held: Finals, objective: Objective) -> Row:
    return Row(
        name=name_of(one),
        value=formats.metric(objective.metric, one.value),
        against_winner="the winner" if is_winner(one, held) else _against(one.against_winner, objective),
        against_baseline="the baseline" if _is_baseline(one) else _against(one.against_baseline, objective),
        out=one.wrong,
    )


def _is_baseline(finalist: Finalist) -> bool:
    return (finalist.trial, finalist.build) == BASELINE


def _against(ratio: Estimate | None, objective: Objective) -> str:
    if ratio is None:
        return ""
    verdict = verdict_of(ratio)
    word = "same" if verdict == "same" else wording.comparative(objective, better=verdict == "faster")
    return f"{word}: {formats.factor(ratio)} ({formats.bounds(ratio)})"
