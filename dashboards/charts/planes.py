"""One metric against another: trials, limits, and the Pareto front where both are objectives."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.html.palette import light
from dashboards.words import formats
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import finite
from studies.analysis.view import StudyView
from studies.core.metrics import DEFAULT_ERROR, DEFAULT_OBJECTIVE, accuracy_metrics, names_where
from studies.core.records import Constraint, StudyRecord


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


def plane(view: StudyView, x_metric: str, y_metric: str) -> Plane | None:
    """Return every trial's two metrics, the limits on them, and the front; None where no trial has both."""
    study, roles = view.study, view.roles
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
    return Plane(x_axis, y_axis, tuple(points), _front(view, x_metric, y_metric), tuple(absent))


def _axis(study: StudyRecord, metric: str, values: Sequence[float]) -> Axis:
    limits = tuple(constraint for constraint in study.spec.constraints if constraint.metric == metric)
    logarithmic = metric in _errors() or drawing.log_scale(values)
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


def _errors() -> tuple[str, ...]:
    """Measure of accuracy that are 0 where outputs are right, and differ by powers of ten."""
    return names_where(lambda metric: metric.source == "accuracy" and metric.better == "minimize")


def _floor(values: Sequence[float], limits: Sequence[Constraint]) -> float:
    """Return a value one decade below the smallest nonzero one."""
    positive = [value for value in (*values, *(limit.limit for limit in limits)) if value > 0]
    return 10.0 ** (math.floor(math.log10(min(positive, default=1e-5))) - 1)


def _is_near(limit: float, values: Sequence[float]) -> bool:
    span = max(values) - min(values)
    return min(values) - span <= limit <= max(values) + span


def _front(view: StudyView, x_metric: str, y_metric: str) -> tuple[tuple[float, float], ...]:
    if not {x_metric, y_metric} <= {objective.metric for objective in view.study.spec.objectives}:
        return ()
    pairs: list[tuple[Estimate | None, Estimate | None]] = [
        (finite(trial, x_metric), finite(trial, y_metric)) for trial in view.pareto_front
    ]
    return tuple(sorted((x.value, y.value) for x, y in pairs if x and y))


def note(data: Plane) -> str:
    """Return how to read the figure of the plane, and which trials are not in it."""
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


def figure(data: Plane) -> go.Figure:
    """Return the figure: trials as points, the feasible region shaded, the Pareto front as a line."""
    traces = [_front_line(data)] if data.front else []
    present = {point.role for point in data.points}
    traces += [_points(data, role) for role in drawing.ROLES if role in present]
    return drawing.figure(traces, 420, xaxis=_layout(data.x), yaxis=_layout(data.y), shapes=_region(data))


def _points(data: Plane, role: str) -> go.Scatter:
    points = [point for point in data.points if point.role == role]
    return go.Scatter(
        x=[data.x.placed(point.x) for point in points],
        y=[data.y.placed(point.y) for point in points],
        mode="markers",
        name=role,
        marker=drawing.marker(role),
        text=[point.text for point in points],
        hovertemplate="%{text}<extra></extra>",
    )


def _front_line(data: Plane) -> go.Scatter:
    return go.Scatter(
        x=[data.x.placed(x) for x, _ in data.front],
        y=[data.y.placed(y) for _, y in data.front],
        mode="lines",
        name="Pareto front",
        line={"color": light("best"), "width": 2, "dash": "dot"},
        hoverinfo="skip",
    )


def _layout(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": formats.about(axis.metric)}, "range": [axis.low, axis.high]}
    if not axis.logarithmic:
        return made
    made |= {"type": "log", "range": [math.log10(axis.low), math.log10(axis.high)]}
    return made | _decades(axis) if axis.metric in _errors() else made


def _decades(axis: Axis) -> dict[str, Any]:
    """Return at most one tick per decade; the tick at the floor is labelled as zero."""
    powers = range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1)
    ticks = [10.0**power for power in powers[:: max(math.ceil(len(powers) / 8), 1)]]
    texts = ["0" if tick == axis.floor else formats.power(tick) for tick in ticks]
    return {"tickvals": ticks, "ticktext": texts}


def _region(data: Plane) -> list[dict[str, Any]]:
    if not (data.x.limits or data.y.limits):
        return []
    (left, right), (bottom, top) = data.x.kept, data.y.kept
    if left >= right or bottom >= top:
        return []
    corners = {"x0": left, "x1": right, "y0": bottom, "y1": top}
    region = {
        "type": "rect",
        **corners,
        "fillcolor": light("best-soft"),
        "line": {"width": 0},
        "layer": "below",
    }
    across = [drawing.rule("x", limit.limit, "best", dash="dash") for limit in data.x.visible]
    upright = [drawing.rule("y", limit.limit, "best", str(limit), "dash") for limit in data.y.visible]
    return [region, *across, *upright]


def draw_accuracy(view: StudyView) -> Drawing | None:
    """Draw the objective against accuracy; None if no trial has both metrics."""
    data = plane(view, *metrics(view.study))
    return Drawing(_title(data), note(data), {"": figure(data)}) if data else None


def metrics(study: StudyRecord) -> tuple[str, str]:
    """Return the accuracy metric of the study, the user's own first, and the first other objective."""
    named = [constraint.metric for constraint in study.spec.constraints]
    named += [objective.metric for objective in study.spec.objectives]
    own = [metric.name for metric in study.spec.workload.metrics]
    measures = [*own, *accuracy_metrics()]
    measure = next((metric for metric in measures if metric in named), DEFAULT_ERROR)
    others = [one.metric for one in study.spec.objectives if one.metric not in measures]
    return measure, others[0] if others else DEFAULT_OBJECTIVE


def _title(data: Plane) -> str:
    best = next((point for point in data.points if point.role == "best"), None)
    beyond = sum(any(limit.violation(point.x) > 0 for limit in data.x.limits) for point in data.points)
    limits = " and ".join(str(limit) for limit in data.x.limits)
    trials = formats.plural(len(data.points), "trial")
    missing = f"{f'{beyond} of' if beyond else 'none of'} {trials} beyond {limits}" if limits else ""
    if best is None:
        return f"No feasible trial; {missing}" if missing else "No feasible trial"
    value = f"The best has {data.x.metric} {formats.number(best.x, 3)}"
    return f"{value}; {missing}" if missing else value


def draw_front(view: StudyView) -> Drawing | None:
    """Draw the first two objectives; None for one objective, or if the accuracy chart shows both."""
    objectives = [objective.metric for objective in view.study.spec.objectives]
    if len(objectives) < 2 or set(objectives[:2]) == set(metrics(view.study)):
        return None
    data = plane(view, objectives[1], objectives[0])
    if data is None:
        return None
    trials = formats.plural(len(view.pareto_front), "trial")
    title = f"{trials} on the Pareto front of {', '.join(objectives)}"
    return Drawing(title, note(data), {"": figure(data)})
