"""One metric against another: trials, limits, and the Pareto front where both are objectives."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from dashboards.charts import drawing
from engines.statistics import Estimate
from studies.analysis import finite, pareto_front
from studies.records import Constraint, StudyRecord

ERRORS = ("error", "max_abs_error", "mean_abs_error")


class Axis(NamedTuple):
    """A metric, and what of it is shown: from `low` to `high`.

    On a logarithmic axis a value of zero is put at `floor`, which is None where no value is zero.
    """

    metric: str
    logarithmic: bool
    low: float
    high: float
    limits: tuple[Constraint, ...]
    floor: float | None

    def placed(self, value: float) -> float:
        return value if self.floor is None else max(value, self.floor)

    @property
    def visible(self) -> tuple[Constraint, ...]:
        """The limits that lie within what is shown."""
        return tuple(limit for limit in self.limits if self.low <= limit.limit <= self.high)

    @property
    def kept(self) -> tuple[float, float]:
        """The part of the axis where all its limits are kept; empty unless the first is the smaller."""
        lows = [limit.limit for limit in self.limits if limit.operator == ">="]
        highs = [limit.limit for limit in self.limits if limit.operator == "<="]
        return max([self.low, *lows]), min([self.high, *highs])


class Point(NamedTuple):
    number: int
    x: float
    y: float
    role: str
    text: str


class Plane(NamedTuple):
    """Trials that have both metrics; `front` is empty unless both are objectives.

    `absent` are the failed trials, and those that lack one of the two metrics.
    """

    x: Axis
    y: Axis
    points: tuple[Point, ...]
    front: tuple[tuple[float, float], ...]
    absent: tuple[int, ...]


def plane(study: StudyRecord, x_metric: str, y_metric: str) -> Plane | None:
    """Every trial's two metrics, the limits on them, and the front; None where no trial has both."""
    roles = drawing.roles_of(study)
    points, absent = [], []
    for trial in study.trials:
        x, y = finite(trial, x_metric), finite(trial, y_metric)
        if x is None or y is None or trial.state == "failed":
            absent.append(trial.number)
            continue
        points.append(Point(trial.number, x.value, y.value, roles[trial.number], drawing.hover(study, trial)))
    if not points:
        return None
    x_axis = _axis(study, x_metric, [point.x for point in points])
    y_axis = _axis(study, y_metric, [point.y for point in points])
    return Plane(x_axis, y_axis, tuple(points), _front(study, x_metric, y_metric), tuple(absent))


def _axis(study: StudyRecord, metric: str, values: Sequence[float]) -> Axis:
    limits = tuple(constraint for constraint in study.spec.constraints if constraint.metric == metric)
    logarithmic = metric in ERRORS or drawing.log_scale(values)
    floor = _floor(values, limits) if logarithmic and min(values) <= 0 else None
    ends = [value if floor is None else max(value, floor) for value in values]
    near = [limit.limit for limit in limits if logarithmic or _is_near(limit.limit, ends)]
    ends += [limit for limit in near if limit > 0 or not logarithmic]
    low, high = min(ends), max(ends)
    if logarithmic:
        room = (high / low) ** 0.07 * 1.3
        return Axis(metric, True, low / room, high * room, limits, floor)
    span = (high - low) or abs(high) or 1.0
    bottom = low - 0.08 * span
    return Axis(metric, False, bottom if low < 0 else max(bottom, 0.0), high + 0.08 * span, limits, floor)


def _floor(values: Sequence[float], limits: Sequence[Constraint]) -> float:
    """A decade below everything that is not zero."""
    positive = [value for value in (*values, *(limit.limit for limit in limits)) if value > 0]
    return 10.0 ** (math.floor(math.log10(min(positive, default=1e-5))) - 1)


def _is_near(limit: float, values: Sequence[float]) -> bool:
    span = max(values) - min(values)
    return min(values) - span <= limit <= max(values) + span


def _front(study: StudyRecord, x_metric: str, y_metric: str) -> tuple[tuple[float, float], ...]:
    if not {x_metric, y_metric} <= {objective.metric for objective in study.spec.objectives}:
        return ()
    pairs: list[tuple[Estimate | None, Estimate | None]] = [
        (finite(trial, x_metric), finite(trial, y_metric)) for trial in pareto_front(study)
    ]
    return tuple(sorted((x.value, y.value) for x, y in pairs if x and y))


def note(data: Plane) -> str:
    """How to read the figure of the plane, and which trials are not in it."""
    parts = []
    limits = ", ".join(str(limit) for limit in (*data.x.limits, *data.y.limits))
    if limits:
        parts.append(f"Shaded: where {limits} {'is' if ',' not in limits else 'are'} kept.")
    if data.x.floor is not None:
        parts.append("An error of exactly zero is at the left edge.")
    if data.front:
        parts.append("The line joins the Pareto front.")
    if data.absent:
        parts.append(f"Not shown, as they failed or have no value: trials {drawing.numbers(data.absent)}.")
    return " ".join(parts)
