"""Compare rebuilt finalists with their own engines, to see if a build was lucky or its settings are fast."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engines.statistics.estimates import Estimate
from studies.core.records import Direction, StudyRecord
from studies.finals.verdict import (
    FEWEST_SESSIONS,
    Finals,
    Key,
    finals,
    interval_of,
    log_ratios,
    sessions_of,
    verdict_of,
)


class Rebuilt(NamedTuple):
    """A finalist that was built anew, as ratios to its own engine (more than 1 is better).

    `between_builds` and `between_sessions` are standard deviations of the logarithm; the first is what
    builds differ beyond what sessions explain. `all_win` says that every build is better than the baseline.
    """

    trial: int
    ratios: tuple[Estimate, ...]
    between_builds: float
    between_sessions: float
    all_win: bool

    @property
    def is_luck(self) -> bool:
        """Return whether some rebuild differs significantly from the trial's own engine."""
        return any(verdict_of(ratio) != "same" for ratio in self.ratios)


def rebuilt(study: StudyRecord) -> tuple[Rebuilt, ...]:
    """Return the result of rebuilding for each finalist, the winner first; empty without finals or
    rebuilds.
    """
    held = finals(study)
    if held is None:
        return ()
    values = sessions_of(study, held.after)
    trials = sorted({key[0] for key in values if key[1]}, key=lambda trial: trial != held.winner.trial)
    found = [_rebuilt(trial, values, held, study.spec.objectives[0].direction) for trial in trials]
    return tuple(one for one in found if one is not None)


def _rebuilt(
    trial: int, values: dict[Key, dict[int, float]], held: Finals, direction: Direction
) -> Rebuilt | None:
    """Return None if the trial or all its rebuilds were measured in too few sessions."""
    own = values.get((trial, 0), {})
    logs = [
        log_ratios(of, own, direction) for key, of in sorted(values.items()) if key[0] == trial and key[1]
    ]
    logs = [one for one in logs if len(one) >= FEWEST_SESSIONS]
    if not logs:
        return None
    ratios = tuple(interval_of(one, len(logs)) for one in logs)
    builds = [of for key, of in sorted(values.items()) if key[0] == trial]
    all_win = all(one.verdict == "faster" for one in held.finalists if one.trial == trial)
    return Rebuilt(trial, ratios, *_spreads(builds), all_win)


def _spreads(builds: Sequence[dict[int, float]]) -> tuple[float, float]:
    """Return the spread between builds and between sessions: two-way analysis of variance, one run a cell."""
    shared = sorted(set.intersection(*(set(of) for of in builds)))
    if len(shared) < 2:
        return 0.0, 0.0
    logs = np.log([[of[session] for session in shared] for of in builds])
    means = logs.mean(axis=1)
    rest = logs - means[:, None] - logs.mean(axis=0) + logs.mean()
    freedom = (len(builds) - 1) * (len(shared) - 1)
    within = float((rest**2).sum()) / freedom
    between = max(0.0, float(np.var(means, ddof=1)) - within / len(shared))
    return math.sqrt(between), math.sqrt(within)
