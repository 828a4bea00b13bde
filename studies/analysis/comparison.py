"""Compare a study's best trial with the baseline; fronts and series of a stored study.

Nothing is measured or read here. The effect of each dimension on the objective is in
`studies.analysis.effects`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engines.core.values import Samples
from engines.statistics import estimates
from engines.statistics.estimates import Estimate
from studies.belief.devices import beliefs
from studies.belief.noise import Noise
from studies.core.metrics import is_exact
from studies.core.records import Objective, StudyRecord, TrialRecord
from studies.finals.verdict import Finals, disproved, finals

Verdict = Literal[
    "faster",
    "slower",
    "same",  # the interval includes 1, or the best is the baseline: keep it
    "unproven",  # measured without an interval, so chance is not ruled out
    "no baseline",  # it failed
    "nothing feasible",
]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The best trial compared with the baseline in the first objective.

    `speedup` is the ratio of the two, oriented so that more than 1 is better; None if one of them has no
    value, or zero. It comes from the `finals` if they were held, else from the two trials; then a difference
    below the self-test's detectable one counts as none.
    """

    objective: Objective
    baseline: TrialRecord | None
    best: TrialRecord | None
    speedup: Estimate | None
    verdict: Verdict
    finals: Finals | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One trial of the search, when it ended, and the best feasible trial by then (None: none yet)."""

    trial: TrialRecord
    elapsed_seconds: float
    best: TrialRecord | None


@dataclass(frozen=True)
class Spread:
    """The latencies of one trial in milliseconds: its quartiles, and its 1st and 99th percentile."""

    low: float
    first_quartile: float
    median: float
    third_quartile: float
    high: float
    samples: int


def baseline(study: StudyRecord) -> TrialRecord | None:
    """Return trial 0; None before it has finished."""
    return next((trial for trial in study.trials if trial.number == 0), None)


def best(study: StudyRecord) -> TrialRecord | None:
    """Return the winner of the finals, else the feasible trial with the best value of the first objective.

    Values are corrected for drift. None if no trial is feasible, or all were wrong in finals.
    """
    held = finals(study)
    if held is not None:
        return study.trial(held.winner.trial)
    objective, wrong, believed = study.spec.objectives[0], disproved(study), beliefs(study)
    values = [
        (believed.freed(value, trial, objective.metric).value, trial)
        for trial in study.trials
        if trial.number not in wrong
        and _may_win(trial)
        and (value := objective_value(trial, objective)) is not None
    ]
    sign = 1 if objective.direction == "minimize" else -1
    return min(values, key=lambda pair: sign * pair[0], default=(0.0, None))[1]


def objective_value(trial: TrialRecord, objective: Objective) -> Estimate | None:
    """Return the trial's value of the objective; None if it is missing or not finite."""
    return finite(trial, objective.metric)


def finite(trial: TrialRecord, metric: str) -> Estimate | None:
    """Return the trial's value of the metric; None if it is missing or not finite."""
    estimate = trial.metrics.get(metric)
    return estimate if estimate is not None and math.isfinite(estimate.value) else None


def pareto_front(study: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the feasible trials that no other beats in all objectives, ordered by the first objective."""
    objectives = study.spec.objectives
    trials = [trial for trial in study.trials if trial.state == "feasible"]
    rows = [(trial, costs) for trial in trials if (costs := _costs(trial, objectives)) is not None]
    if not rows:
        return ()
    matrix = np.array([costs for _, costs in rows])
    front = [(costs, trial) for trial, costs in rows if not _dominated(np.array(costs), matrix)]
    return tuple(trial for _, trial in sorted(front, key=lambda entry: (entry[0], entry[1].number)))


def comparison(study: StudyRecord) -> Comparison:
    """Compare the best trial with the baseline."""
    objective = study.spec.objectives[0]
    reference, found = baseline(study), best(study)
    if found is None:
        return Comparison(objective, reference, None, None, "nothing feasible")
    before = objective_value(reference, objective) if reference else None
    after = objective_value(found, objective)
    if reference is None or before is None or after is None:
        return Comparison(objective, reference, found, None, "no baseline")
    if found.candidate == reference.candidate:
        return Comparison(objective, reference, found, Estimate(1.0), "same")
    held = finals(study)
    if held is not None and held.winner.against_baseline is not None:
        final = held.winner
        return Comparison(objective, reference, found, final.against_baseline, final.verdict, held)
    believed = beliefs(study)
    before = believed.freed(believed.widened(before, reference), reference, objective.metric)
    after = believed.freed(believed.widened(after, found), found, objective.metric)
    machine = believed.of(found.device).noise
    speedup = _speedup(before, after, objective)
    verdict = _verdict(before, after, speedup, objective)
    if machine is not None and _is_undetectable(speedup, machine):
        verdict = "same"
    return Comparison(objective, reference, found, speedup, verdict)


def best_so_far(study: StudyRecord) -> tuple[Step, ...]:
    """Return every trial with the best feasible one by then; time counts from the start of the first
    trial.
    """
    objective = study.spec.objectives[0]
    started = min((trial.started_at for trial in study.trials), default=study.created_at)
    found: TrialRecord | None = None
    steps = []
    for trial in study.trials:
        if _improves(trial, found, objective):
            found = trial
        elapsed = (trial.started_at - started).total_seconds() + trial.seconds
        steps.append(Step(trial, elapsed, found))
    return tuple(steps)


def spread(trial: TrialRecord) -> Spread | None:
    """Return the quantiles of the trial's latencies; None without a measurement."""
    if trial.measurement is None:
        return None
    pooled = np.concatenate([block.latency_ms for block in trial.measurement.blocks])
    if not len(pooled) or not np.isfinite(pooled).all():
        return None
    low, first, median, third, high = np.quantile(pooled, (0.01, 0.25, 0.5, 0.75, 0.99)).tolist()
    return Spread(low, first, median, third, high, len(pooled))


def _improves(trial: TrialRecord, found: TrialRecord | None, objective: Objective) -> bool:
    cost = _cost(trial, objective)
    if not _may_win(trial) or cost is None:
        return False
    standing = _cost(found, objective) if found else None
    return standing is None or cost < standing


def _may_win(trial: TrialRecord) -> bool:
    """Return whether it is feasible and was not pruned: then it was clearly worse than another."""
    return trial.state == "feasible" and not (trial.measurement is not None and trial.measurement.pruned)


def _cost(trial: TrialRecord, objective: Objective) -> float | None:
    estimate = objective_value(trial, objective)
    if estimate is None:
        return None
    return estimate.value if objective.direction == "minimize" else -estimate.value


def _costs(trial: TrialRecord, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    costs = [_cost(trial, objective) for objective in objectives]
    known = tuple(cost for cost in costs if cost is not None)
    return known if len(known) == len(objectives) else None


def _dominated(costs: Samples, others: Samples) -> bool:
    return bool(((others <= costs).all(axis=1) & (others < costs).any(axis=1)).any())


def _speedup(before: Estimate, after: Estimate, objective: Objective) -> Estimate | None:
    if before.value <= 0 or after.value <= 0:
        return None
    if objective.direction == "minimize":
        return estimates.ratio(before, after)
    return estimates.ratio(after, before)


def _is_undetectable(speedup: Estimate | None, machine: Noise) -> bool:
    """Return whether the two, measured once each, differ by less than the machine can detect."""
    return speedup is not None and abs(math.log(speedup.value)) < math.log1p(machine.detectable)


def _verdict(before: Estimate, after: Estimate, speedup: Estimate | None, objective: Objective) -> Verdict:
    if speedup is not None and speedup.low is not None and speedup.high is not None:
        return "faster" if speedup.low > 1 else "slower" if speedup.high < 1 else "same"
    if before.value == after.value:
        return "same"
    if not is_exact(objective.metric):
        return "unproven"
    return "faster" if (after.value < before.value) == (objective.direction == "minimize") else "slower"


def recommended(study: StudyRecord) -> TrialRecord | None:
    """Return the best trial, or the baseline if the best does not differ from it significantly.

    A baseline that failed or misses a constraint is never recommended; None when nothing is feasible.
    """
    return recommended_of(comparison(study))


def recommended_of(found: Comparison) -> TrialRecord | None:
    """Return the trial that a comparison recommends."""
    if found.verdict == "same" and found.baseline is not None and found.baseline.state == "feasible":
        return found.baseline
    return found.best
