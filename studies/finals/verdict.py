"""Judge the finals: which finalist is faster, from sessions in which all were measured in turn.

Each session loads every finalist in a process of its own and times all of them in interleaved blocks. So each
session gives one independent observation of the logarithm of the ratio of a pair, whatever else the machine
did. The variation at the highest level decides the interval: T. Kalibera and R. Jones, Rigorous Benchmarking
in Reasonable Time, 2013.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from engines.statistics.distributions import student_t
from engines.statistics.estimates import Estimate, with_log_half_width
from studies.core.metrics import is_exact, value_of
from studies.core.objectives import violations_of
from studies.core.records import Direction, RepeatRecord, StudyRecord

Verdict = Literal["faster", "slower", "same"]
# trial and build
Key = tuple[int, int]

BASELINE: Key = (0, 0)
FEWEST_SESSIONS = 3
ERROR_RATE = 0.05


@dataclass(frozen=True)
class Finalist:
    """A trial in the finals; ratios are oriented so that more than 1 is better than the other.

    `build` is 0 for the engine that the trial made, and counts its cold rebuilds from 1. `wrong` says why
    it is out of the race. Ratios are None against itself.
    """

    trial: int
    build: int
    value: Estimate
    against_winner: Estimate | None = None
    against_baseline: Estimate | None = None
    wrong: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return the verdict against the baseline; the baseline is the same as itself."""
        return verdict_of(self.against_baseline)


@dataclass(frozen=True)
class Finals:
    """The newest finals of a study, `winner` among the finalists.

    They are in the order of their values, each freed of how slow its sessions were. The winner has the best
    of those that are faster than the baseline, and where none is, of all.
    """

    finalists: tuple[Finalist, ...]
    winner: Finalist
    sessions: int
    after: int


def verdict_of(ratio: Estimate | None) -> Verdict:
    """Return the verdict of an interval of a ratio, better being more than 1."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return "same"
    return "faster" if ratio.low > 1 else "slower" if ratio.high < 1 else "same"


@lru_cache(maxsize=2)  # pages ask for it repeatedly, and a study record never changes
def finals(study: StudyRecord) -> Finals | None:
    """Return the finals over all trials that the study has; None if they were not held or not completed.

    None too if every finalist is out.
    """
    runs = sessions_of(study, len(study.trials))
    qualified = {key: of for key, of in runs.items() if len(of) >= FEWEST_SESSIONS}
    rivals = sum(build == 0 and trial != 0 for trial, build in qualified)
    direction = study.spec.objectives[0].direction
    wrong = {key: _wrong(key, study) for key in qualified}
    racing = [key for key in qualified if not wrong[key] and key[1] == 0]
    if not rivals or not racing:
        return None
    levels = _levels(qualified, direction)

    def against(key: Key, other: Key) -> Estimate | None:
        if key == other or other not in qualified:
            return None
        logs = log_ratios(qualified[key], qualified[other], direction)
        return interval_of(logs, rivals) if len(logs) >= FEWEST_SESSIONS else None

    # a better mean with a wide interval must not hide a proven one
    proven = [key for key in racing if verdict_of(against(key, BASELINE)) == "faster"]
    best = max((BASELINE in racing and proven) or racing, key=lambda key: levels[key])
    rows = [
        Finalist(*key, _mean(list(of.values())), against(key, best), against(key, BASELINE), wrong[key])
        for key, of in qualified.items()
    ]
    rows.sort(key=lambda row: -levels[row.trial, row.build])
    winner = next(row for row in rows if (row.trial, row.build) == best)
    return Finals(tuple(rows), winner, max(map(len, runs.values())), len(study.trials))


def disproved(study: StudyRecord) -> frozenset[int]:
    """Return the trials whose own engines were correct in the trial but wrong in any finals.

    Trials with the same engine are included, even if they were not checked after running for a while.
    """
    wrong = {
        one.trial
        for one in study.repeats
        if one.role == "final" and one.build == 0 and _was_wrong(one, study)
    }
    return frozenset(wrong | {trial.number for trial in study.trials if trial.same_as in wrong})


def sessions_of(study: StudyRecord, after: int) -> dict[Key, dict[int, float]]:
    """Return the objective of each finalist in each session of the finals after so many trials.

    Finals that began anew count from their beginning.
    """
    metric = study.spec.objectives[0].metric
    runs: dict[Key, dict[int, float]] = {}
    for repeat in study.repeats:
        if (repeat.role, repeat.after) != ("final", after):
            continue
        of = runs.setdefault((repeat.trial, repeat.build), {})
        if repeat.session == 0:
            of.clear()
        found = value_of(repeat.evaluation, metric)
        if found is not None and found.value > 0:
            of[repeat.session] = found.value
    return {key: of for key, of in runs.items() if of}


def log_ratios(one: dict[int, float], other: dict[int, float], direction: Direction) -> list[float]:
    """Return the logarithm of the oriented ratio in each session that has both."""
    sign = 1 if direction == "maximize" else -1
    shared = sorted(one.keys() & other.keys())
    return [sign * math.log(one[session] / other[session]) for session in shared]


def interval_of(logs: Sequence[float], comparisons: int) -> Estimate:
    """Return the ratio with an interval that is valid for so many comparisons at once (Bonferroni)."""
    count, mean = len(logs), float(np.mean(logs))
    if count < 2:
        return Estimate(math.exp(mean))
    quantile = student_t(1 - ERROR_RATE / 2 / comparisons, count - 1)
    half_width = quantile * float(np.std(logs, ddof=1)) / math.sqrt(count)
    return with_log_half_width(math.exp(mean), half_width)


def _wrong(key: Key, study: StudyRecord) -> str:
    """Return why the finalist is out: infeasible as a trial, or wrong in a session; else empty.

    A finalist that did not fit into memory beside the others only has one session less.
    """
    trial = study.trial(key[0])
    if trial is None or trial.state != "feasible":
        return "misses " + ", ".join(trial.violations) if trial and trial.violations else "failed"
    reasons = (
        _was_wrong(one, study)
        for one in study.repeats
        if (one.role, one.after, one.trial, one.build) == ("final", len(study.trials), *key)
    )
    return next((reason for reason in reasons if reason), "")


def _was_wrong(repeat: RepeatRecord, study: StudyRecord) -> str:
    """Return what the engine got wrong in that session; empty for nothing."""
    failure = repeat.evaluation.failure
    if failure is not None:
        is_wrong = failure.kind in ("not_finite", "wrong_output")
        return f"failed in session {repeat.session + 1}: {failure.message}" if is_wrong else ""
    exact = [one for one in study.spec.constraints if is_exact(one.metric)]
    found = {one.metric: value_of(repeat.evaluation, one.metric) for one in exact}
    known = {name: estimate for name, estimate in found.items() if estimate is not None}
    violations = violations_of(known, exact)
    return f"misses {', '.join(violations)} in session {repeat.session + 1}" if violations else ""


def _levels(runs: Mapping[Key, Mapping[int, float]], direction: Direction) -> dict[Key, float]:
    """Return how good each finalist is relative to the others, as a logarithm, without the levels of the
    sessions.

    By least squares: where all have all sessions it is the mean, and who missed a slow one gains nothing.
    """
    sign = 1 if direction == "maximize" else -1
    keys, sessions = list(runs), sorted({session for of in runs.values() for session in of})
    cells = [(key, session) for key in keys for session in runs[key]]
    design = np.zeros((len(cells), len(keys) + len(sessions)))
    for row, (key, session) in zip(design, cells, strict=True):
        row[[keys.index(key), len(keys) + sessions.index(session)]] = 1
    logs = np.log([runs[key][session] for key, session in cells])
    found = np.linalg.lstsq(design, logs, rcond=None)[0]
    return {key: sign * float(level) for key, level in zip(keys, found, strict=False)}


def _mean(values: Sequence[float]) -> Estimate:
    return interval_of(list(np.log(values)), 1)
