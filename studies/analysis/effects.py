"""Estimate the effect of each dimension on the first objective: an additive model of its logarithm.

Every choice multiplies the objective by a factor. All factors are fitted together by least squares, so that
dimensions that were often changed together are separated. The model has no interactions: they remain in its
residual, and widen the intervals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.core.values import Dimension, Value
from engines.statistics.distributions import student_t
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import baseline, objective_value
from studies.core.records import Objective, StudyRecord, TrialRecord

Matrix = NDArray[np.float64]

# A factor beyond exp(30) says "anything"; cutting the exponent there keeps the arithmetic finite.
_LARGEST_EXPONENT = 30.0


@dataclass(frozen=True)
class ChoiceEffect:
    """What one choice multiplies the objective by, against the reference choice (whose ratio is exactly 1).

    The interval is None with too few trials, or where the choice was always made together with another
    dimension's, so that the two cannot be separated (`separable` is False then).
    """

    value: Value
    ratio: Estimate
    trials: int
    separable: bool = True


@dataclass(frozen=True)
class DimensionEffect:
    """One dimension: its share of the model's variance if all choices seen are equally likely."""

    name: str
    reference: Value
    importance: float
    choices: tuple[ChoiceEffect, ...]


@dataclass(frozen=True)
class Effects:
    """All dimensions, the most important first.

    `explained` is the share of the variance among trials that the model explains, adjusted for its number
    of terms: the rest is noise and interactions. It is None where there are too few trials to tell, or where
    the objective does not vary.
    """

    objective: Objective
    trials: int
    explained: float | None
    dimensions: tuple[DimensionEffect, ...]


@dataclass(frozen=True)
class _Column:
    """The choices seen in one dimension, the reference first, and the choice of every trial, by position."""

    name: str
    choices: tuple[Value, ...]
    chosen: NDArray[np.int64]


@dataclass(frozen=True)
class _Fit:
    coefficients: Matrix
    half_widths: Matrix | None
    separable: NDArray[np.bool_]
    explained: float | None


def effects(study: StudyRecord) -> Effects:
    """Return the effect of every dimension, from all trials that have the objective, infeasible ones
    included.
    """
    objective = study.spec.objectives[0]
    trials, logs = _observations(study.trials, objective)
    reference = baseline(study)
    columns = [_column(dimension, trials, reference) for dimension in study.spec.space if trials]
    fit = _fit(_design(columns, len(trials)), logs)
    dimensions = _dimension_effects(columns, fit)
    ordered = sorted(dimensions, key=lambda dimension: -dimension.importance)
    return Effects(objective, len(trials), fit.explained, tuple(ordered))


def chosen(trial: TrialRecord, dimension: Dimension) -> Value:
    """Return the trial's choice; the dimension's default if its candidate does not name one."""
    return trial.candidate.settings.get(dimension.name, dimension.default)


def _observations(trials: Sequence[TrialRecord], objective: Objective) -> tuple[list[TrialRecord], Matrix]:
    # A reused evaluation or a shared measurement is not another observation.
    seen: dict[object, tuple[TrialRecord, float]] = {}
    for trial in trials:
        estimate = objective_value(trial, objective)
        if estimate is not None and estimate.value > 0 and trial.same_as is None:
            seen.setdefault(trial.candidate, (trial, math.log(estimate.value)))
    logs = np.array([log for _, log in seen.values()])
    return [trial for trial, _ in seen.values()], logs


def _column(dimension: Dimension, trials: Sequence[TrialRecord], reference: TrialRecord | None) -> _Column:
    values = [chosen(trial, dimension) for trial in trials]
    preferred = chosen(reference, dimension) if reference else dimension.default
    first = preferred if preferred in values else max(values, key=values.count)
    others = [value for value in dimension.choices if value in values and value != first]
    strays = [value for value in dict.fromkeys(values) if value not in (first, *others)]
    choices = (first, *others, *strays)
    return _Column(dimension.name, choices, np.array([choices.index(value) for value in values]))


def _design(columns: Sequence[_Column], rows: int) -> Matrix:
    coded = [column.chosen == position for column in columns for position in range(1, len(column.choices))]
    return np.array(coded, dtype=np.float64).T if coded else np.zeros((rows, 0))


def _fit(design: Matrix, logs: Matrix) -> _Fit:
    """Fit by least squares of least norm: effects that cannot be separated are shared equally."""
    rows, terms = design.shape
    if not rows or not terms or np.ptp(logs) < 1e-12:
        return _Fit(np.zeros(terms), None, np.ones(terms, dtype=np.bool_), None)
    centred, target = design - design.mean(axis=0), logs - logs.mean()
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    kept = sizes > max(centred.shape) * np.finfo(np.float64).eps * sizes[0]
    left, sizes, right = left[:, kept], sizes[kept], right[kept]
    coefficients = right.T @ (left.T @ target / sizes)
    separable = (right**2).sum(axis=0) > 1 - 1e-8
    freedom = rows - 1 - len(sizes)
    if freedom < 1:
        return _Fit(coefficients, None, separable, None)
    residual = float(((target - centred @ coefficients) ** 2).sum()) / freedom
    errors = np.sqrt(residual * ((right.T / sizes) ** 2).sum(axis=1))
    explained = max(1 - residual / float(target @ target / (rows - 1)), 0.0)
    return _Fit(coefficients, student_t(0.975, freedom) * errors, separable, explained)


def _dimension_effects(columns: Sequence[_Column], fit: _Fit) -> list[DimensionEffect]:
    starts = np.cumsum([0, *(len(column.choices) - 1 for column in columns)])
    variances = []
    for column, start in zip(columns, starts, strict=False):
        factors = fit.coefficients[start : start + len(column.choices) - 1]
        variances.append(float(np.var([0.0, *factors])))
    total = sum(variances)
    return [
        DimensionEffect(
            column.name,
            column.choices[0],
            variance / total if total > 0 else 0.0,
            tuple(_choice_effect(column, position, start, fit) for position in range(len(column.choices))),
        )
        for column, variance, start in zip(columns, variances, starts, strict=False)
    ]


def _choice_effect(column: _Column, position: int, start: int, fit: _Fit) -> ChoiceEffect:
    trials = int((column.chosen == position).sum())
    if position == 0:
        return ChoiceEffect(column.choices[0], Estimate(1.0), trials)
    term = start + position - 1
    log, separable = float(fit.coefficients[term]), bool(fit.separable[term])
    if fit.half_widths is None or not separable:
        return ChoiceEffect(column.choices[position], Estimate(_exp(log)), trials, separable)
    half_width = float(fit.half_widths[term])
    ratio = Estimate(_exp(log), _exp(log - half_width), _exp(log + half_width))
    return ChoiceEffect(column.choices[position], ratio, trials, separable)


def _exp(log: float) -> float:
    return math.exp(min(max(log, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))
