"""Parse objectives and constraints, and judge an evaluation by them."""

import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import TaskMetric
from engines.statistics.estimates import Estimate
from studies.core.metrics import (
    DEFAULT_ERROR,
    DEFAULT_OBJECTIVE,
    accuracy_metrics,
    known_metrics,
    metrics_of,
    names_where,
)
from studies.core.records import Constraint, Objective, StudySpec, TrialRecord, TrialState

DEFAULT_ERROR_LIMIT = Constraint(DEFAULT_ERROR, "<=", 0.01)


def parse_objectives(names: Sequence[str], metrics: Sequence[TaskMetric] = ()) -> tuple[Objective, ...]:
    """Return the objectives named, latency_ms if none is; `metrics` are the user's own.

    Raises UserError for an unknown or repeated name.
    """
    names = list(names) or [DEFAULT_OBJECTIVE]
    if len(set(names)) < len(names):
        raise UserError(f"an objective is named twice: {', '.join(names)}", "Name each objective once.")
    known = known_metrics(metrics)
    return tuple(Objective(_known(name, known, "objective"), known[name].better) for name in names)


def parse_constraints(texts: Sequence[str], metrics: Sequence[TaskMetric] = ()) -> tuple[Constraint, ...]:
    """Return the constraints written, and error<=0.01 if none limits accuracy.

    Metrics of accuracy, and the user's own (`metrics`), limit it.
    """
    known = known_metrics(metrics)
    constraints = tuple(_parse_constraint(text, known) for text in texts)
    costs = names_where(lambda metric: metric.better == "minimize")
    for constraint in constraints:
        _check_possible(constraint, constraints, costs)
    limiting = {*accuracy_metrics(), *(metric.name for metric in metrics)}
    if any(constraint.metric in limiting for constraint in constraints):
        return constraints
    return (*constraints, DEFAULT_ERROR_LIMIT)


def _check_possible(constraint: Constraint, others: Sequence[Constraint], costs: Collection[str]) -> None:
    """Raise UserError for a constraint that no engine can satisfy; `costs` are metrics that are never
    negative.
    """
    if constraint.operator != "<=":
        return
    if constraint.limit < 0 and constraint.metric in costs:
        raise UserError(
            f"nothing can keep {constraint}: {constraint.metric} is never below 0", "Raise the limit."
        )
    for other in others:
        if (other.metric, other.operator) == (constraint.metric, ">=") and other.limit > constraint.limit:
            raise UserError(f"nothing can keep both {other} and {constraint}", "Leave one of them out.")


def judge(
    evaluation: Evaluation, constraints: Sequence[Constraint], only: Collection[str] | None = None
) -> tuple[TrialState, dict[str, Estimate], dict[str, float]]:
    """Return the evaluation's state, its metrics, and by how much it misses which constraints.

    With `only`, of the metrics just these and what the constraints are about.
    """
    named = None if only is None else {*only, *(constraint.metric for constraint in constraints)}
    metrics = metrics_of(evaluation, named)
    if evaluation.failure is not None:
        return "failed", metrics, {}
    # a pruned trial may have ended before the metric was measured
    pruned = evaluation.measurement is not None and evaluation.measurement.pruned
    violations = violations_of(metrics, constraints, unknown_is_missed=not pruned)
    return ("infeasible" if violations else "feasible"), metrics, violations


def violations_of(
    metrics: Mapping[str, Estimate], constraints: Sequence[Constraint], *, unknown_is_missed: bool = True
) -> dict[str, float]:
    """Return the constraints missed and by how much; an unknown metric misses its limit by infinity."""
    missed = {}
    for constraint in constraints:
        estimate = metrics.get(constraint.metric)
        if estimate is None and not unknown_is_missed:
            continue
        violation = constraint.violation(estimate.value) if estimate else math.inf
        if violation > 0:
            missed[str(constraint)] = violation
    return missed


def require_metrics(baseline: TrialRecord, spec: StudySpec) -> None:
    """Raise UserError if the baseline ran but did not report an objective or constraint metric."""
    if baseline.measurement is None:
        return
    # the next trial may have values for blocks without one, and enough samples for a bound
    bounds = names_where(lambda metric: metric.requires == "certify")
    known = {*bounds, *baseline.metrics, *chain(*(one.telemetry for one in baseline.measurement.blocks))}
    objectives, constraints = ([one.metric for one in some] for some in (spec.objectives, spec.constraints))
    for name in dict.fromkeys([*objectives, *constraints]):
        if name in accuracy_metrics() and name not in known:
            raise UserError(f"the outputs of this model have no {name}", "Name another metric of accuracy.")
        if name not in known:
            raise UserError(
                f"{name} is not available on this machine",
                f"Of its metrics the baseline has {', '.join(baseline.metrics)}.",
            )


def _parse_constraint(text: str, known: Collection[str]) -> Constraint:
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>|==|=)\s*([^\s<>=]\S*)\s*", text)
    hint = "Write NAME<=NUMBER or NAME>=NUMBER, such as 'error<=0.01'."
    if match is None:
        raise UserError(f"cannot read the constraint {text!r}", hint)
    name, operator, number = match.groups()
    if operator not in ("<=", ">="):
        raise UserError(f"a constraint is <= or >=, not {operator}: {text!r}", hint)
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UserError(f"{number!r} is not a number in the constraint {text!r}", hint)
    return Constraint(_known(name, known, "constraint"), "<=" if operator == "<=" else ">=", limit)


def _known(name: str, known: Collection[str], what: str) -> str:
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, 1)
    guess = f"Did you mean {near[0]}? " if near else ""
    raise UserError(f"unknown metric {name!r} in the {what}", f"{guess}Known: {', '.join(known)}.")
