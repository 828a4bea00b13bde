"""What the finals showed: who is faster than whom, from sessions in which all were measured in turn.

Each session loads every finalist in a process of its own and times all of them in interleaved blocks, so
what one session gives for a pair is one independent observation of the logarithm of their ratio, whatever
the machine did meanwhile. T. Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, 2013: what
varies at the highest level decides the interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engines.distributions import student_t
from engines.statistics import Estimate, with_log_half_width
from studies.metrics import EXACT_METRICS, METRICS
from studies.objectives import judge
from studies.records import Direction, RepeatRecord, StudyRecord

Verdict = Literal["faster", "slower", "same"]

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
        """Against the baseline; the baseline is the same as itself."""
        return verdict_of(self.against_baseline)


@dataclass(frozen=True)
class Finals:
    """The newest finals of a study; finalists in the order of their values, `winner` among them."""

    finalists: tuple[Finalist, ...]
    winner: Finalist
    sessions: int
    after: int


def verdict_of(ratio: Estimate | None) -> Verdict:
    """What an interval of a ratio says, better being more than 1."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return "same"
    return "faster" if ratio.low > 1 else "slower" if ratio.high < 1 else "same"


def finals(study: StudyRecord) -> Finals | None:
    """The finals over all trials that the study has; None where they were not held, or not to an end."""
    repeats = [one for one in study.repeats if one.role == "final" and one.after == len(study.trials)]
    runs = _runs(repeats, study)
    sessions = max((len(of) for of in runs.values()), default=0)
    qualified = {key: of for key, of in runs.items() if len(of) >= FEWEST_SESSIONS}
    if not any(key[1] == 0 and key[0] != 0 for key in qualified):
        return None
    direction = study.spec.objectives[0].direction
    wrong = {key: _wrong(key, repeats, study) for key in qualified}
    racing = [key for key in qualified if not wrong[key] and key[1] == 0]
    if not racing:
        return None
    # everyone ran in the same sessions, so means compare
    best = max(racing, key=lambda key: _score(qualified[key], direction))
    rivals = max(1, sum(key[1] == 0 and key[0] != 0 for key in qualified))
    rows = [
        Finalist(
            trial=key[0],
            build=key[1],
            value=_mean(list(of.values())),
            against_winner=None if key == best else _ratio(of, qualified[best], direction, rivals),
            against_baseline=None
            if key == (0, 0) or (0, 0) not in qualified
            else _ratio(of, qualified[0, 0], direction, rivals),
            wrong=wrong[key],
        )
        for key, of in qualified.items()
    ]
    rows.sort(key=lambda row: -row.value.value if direction == "maximize" else row.value.value)
    winner = next(row for row in rows if (row.trial, row.build) == best)
    return Finals(tuple(rows), winner, sessions, len(study.trials))


Key = tuple[int, int]


def _runs(repeats: Sequence[RepeatRecord], study: StudyRecord) -> dict[Key, dict[int, float]]:
    """The objective of each finalist in each session."""
    metric = METRICS[study.spec.objectives[0].metric]
    runs: dict[Key, dict[int, float]] = {}
    for repeat in repeats:
        value = metric.of(repeat.evaluation)
        if value is not None and value.value > 0:
            runs.setdefault((repeat.trial, repeat.build), {})[repeat.session] = value.value
    return runs


def _wrong(key: Key, repeats: Sequence[RepeatRecord], study: StudyRecord) -> str:
    """Why the finalist is out: infeasible as a trial, or wrong in a session; else empty.

    One that only had no room beside the others has a session less.
    """
    trial = study.trials[key[0]]
    if trial.state != "feasible":
        return "misses " + ", ".join(trial.violations) if trial.violations else "failed"
    exact = [one for one in study.spec.constraints if one.metric in EXACT_METRICS]
    for repeat in repeats:
        if (repeat.trial, repeat.build) != key:
            continue
        failure = repeat.evaluation.failure
        if failure is not None and failure.kind in ("not_finite", "wrong_output"):
            return f"failed in session {repeat.session + 1}: {failure.message}"
        _, _, violations = judge(repeat.evaluation, exact)
        if violations:
            return f"misses {', '.join(violations)} in session {repeat.session + 1}"
    return ""


def _score(of: dict[int, float], direction: Direction) -> float:
    logs = float(np.mean(np.log(list(of.values()))))
    return logs if direction == "maximize" else -logs


def _mean(values: Sequence[float]) -> Estimate:
    return _interval(list(np.log(values)), 1)


def _ratio(
    one: dict[int, float], other: dict[int, float], direction: Direction, comparisons: int
) -> Estimate | None:
    """Oriented ratio with an interval that holds for all comparisons at once (Bonferroni)."""
    sign = 1 if direction == "maximize" else -1
    shared = sorted(one.keys() & other.keys())
    if len(shared) < FEWEST_SESSIONS:
        return None
    return _interval([sign * math.log(one[session] / other[session]) for session in shared], comparisons)


def _interval(logs: Sequence[float], comparisons: int) -> Estimate:
    count = len(logs)
    mean = float(np.mean(logs))
    if count < 2:
        return Estimate(math.exp(mean))
    quantile = student_t(1 - ERROR_RATE / 2 / comparisons, count - 1)
    half_width = quantile * float(np.std(logs, ddof=1)) / math.sqrt(count)
    return with_log_half_width(math.exp(mean), half_width)
