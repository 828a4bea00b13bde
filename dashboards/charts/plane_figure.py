"""The figure of one metric against another."""

import math
from typing import Any

import plotly.graph_objects as go

from dashboards import formats
from dashboards.charts import drawing
from dashboards.charts.planes import ERRORS, Axis, Plane
from dashboards.palette import light


def figure(data: Plane) -> go.Figure:
    """The trials as points, the region where all limits are kept shaded, and the Pareto front as a line."""
    traces = [_front(data)] if data.front else []
    present = {point.role for point in data.points}
    traces += [_points(data, role) for role in drawing.ROLES if role in present]
    return drawing.figure(traces, 420, xaxis=_axis(data.x), yaxis=_axis(data.y), shapes=_region(data))


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


def _front(data: Plane) -> go.Scatter:
    return go.Scatter(
        x=[data.x.placed(x) for x, _ in data.front],
        y=[data.y.placed(y) for _, y in data.front],
        mode="lines",
        name="Pareto front",
        line={"color": light("best"), "width": 2, "dash": "dot"},
        hoverinfo="skip",
    )


def _axis(axis: Axis) -> dict[str, Any]:
    made: dict[str, Any] = {"title": {"text": formats.about(axis.metric)}, "range": [axis.low, axis.high]}
    if not axis.logarithmic:
        return made
    made |= {"type": "log", "range": [math.log10(axis.low), math.log10(axis.high)]}
    return made | _decades(axis) if axis.metric in ERRORS else made


def _decades(axis: Axis) -> dict[str, Any]:
    """One tick a decade, or fewer; the floor stands for zero."""
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
