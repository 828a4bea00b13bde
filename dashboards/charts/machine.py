"""The machine while each trial was measured: clock, power and temperature, a view each."""

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.html.palette import light
from dashboards.words import formats
from dashboards.words.telemetry import STATES, Range, disturbances, marks_of, states
from engines.statistics.estimates import Estimate
from studies.analysis.view import StudyView

SHOWN = ("clock_mhz", "power_w", "temperature_c")


class Mark(NamedTuple):
    """A trial's state over its blocks; `disturbed` says why some of them should not count."""

    number: int
    role: str
    range: Range
    disturbed: str
    text: str


def draw(view: StudyView) -> Drawing | None:
    """Return the chart; None where no trial has telemetry."""
    found = {name: marks(view, name) for name in SHOWN}
    views = {STATES[name][0].capitalize(): _figure(name, of) for name, of in found.items() if of}
    if not views:
        return None
    return Drawing(_title(next((name, of) for name, of in found.items() if of)), _note(), views)


def marks(view: StudyView, name: str) -> tuple[Mark, ...]:
    """Return each trial with a known state, except those that reuse a measurement of another time."""
    roles, found = view.roles, []
    for trial in view.study.trials:
        if trial.measurement is None or trial.reused or trial.same_as is not None:
            continue
        blocks = trial.measurement.blocks
        if name in (told := states(blocks)):
            why = "; ".join(disturbances(blocks))
            # not all that is known of the trial: there are three views
            text = ", ".join([f"trial {trial.number}", trial.state, *marks_of(trial)])
            found.append(Mark(trial.number, roles[trial.number], told[name], why, text))
    return tuple(found)


def _title(first: tuple[str, tuple[Mark, ...]]) -> str:
    name, found = first
    disturbed = [mark.number for mark in found if mark.disturbed]
    if disturbed:
        return f"The machine was disturbed in {formats.trials(disturbed)}"
    title, unit = STATES[name]
    low, high = (formats.number(end(mark.range.mean for mark in found), 3) for end in (min, max))
    if low == high:
        return f"The {title} stood at {low} {unit} in all trials"
    return f"The {title} was {low} to {high} {unit} from trial to trial"


def _note() -> str:
    return (
        "Means over the timed blocks of each trial; bars reach from the lowest to the highest block. "
        "Ringed: blocks disturbed even when repeated."
    )


def _figure(name: str, found: tuple[Mark, ...]) -> go.Figure:
    title, unit = STATES[name]
    traces = [_trace(found, role, unit) for role in drawing.ROLES if any(mark.role == role for mark in found)]
    disturbed = [mark for mark in found if mark.disturbed]
    if disturbed:
        traces.append(_rings(disturbed))
    return drawing.figure(
        traces,
        280,
        xaxis={"title": {"text": "trial"}, "dtick": 1 if found[-1].number <= 10 else None},
        yaxis={"title": {"text": f"{title} ({unit})"}, "range": _range(found)},
    )


def _range(found: tuple[Mark, ...]) -> list[float]:
    """Return the range of the axis; values that vary by less than 1 % look steady."""
    low, high = min(mark.range.low for mark in found), max(mark.range.high for mark in found)
    room = max(0.15 * (high - low), 0.01 * abs(high), 1e-9)
    return [low - room, high + room]


def _trace(found: tuple[Mark, ...], role: str, unit: str) -> go.Scatter:
    chosen = [mark for mark in found if mark.role == role]
    ranges = [Estimate(mark.range.mean, mark.range.low, mark.range.high) for mark in chosen]
    return go.Scatter(
        x=[mark.number for mark in chosen],
        y=[mark.range.mean for mark in chosen],
        error_y=drawing.bars(ranges, role),
        mode="markers",
        name=role,
        marker=drawing.marker(role),
        text=[mark.text for mark in chosen],
        hovertemplate=f"%{{text}}: %{{y:,.4g}} {unit}<extra></extra>",
    )


def _rings(disturbed: list[Mark]) -> go.Scatter:
    return go.Scatter(
        x=[mark.number for mark in disturbed],
        y=[mark.range.mean for mark in disturbed],
        mode="markers",
        name="disturbed",
        marker={"symbol": "circle-open", "size": 17, "color": light("failed"), "line": {"width": 1.5}},
        text=[formats.shortened(mark.disturbed, 90) for mark in disturbed],
        hovertemplate="%{text}<extra></extra>",
    )
