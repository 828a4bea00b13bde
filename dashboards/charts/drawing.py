"""What every chart gives to the page, and what their figures have in common."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import plotly.graph_objects as go

from dashboards.html.palette import light
from dashboards.words import formats
from dashboards.words.telemetry import marks_of
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import objective_value
from studies.analysis.effects import chosen
from studies.core.metrics import DEFAULT_ERROR
from studies.core.records import StudyRecord, TrialRecord

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
SYMBOLS = {
    "pruned": "circle-open",
    "feasible": "circle",
    "infeasible": "triangle-up-open",
    "failed": "x-thin",
    "baseline": "diamond",
    "best": "star",
}
SIZES = {"pruned": 7, "feasible": 7, "infeasible": 9, "failed": 8, "baseline": 12, "best": 15}
ROLES = tuple(SYMBOLS)
# of what the values span, on either side: for intervals, and beyond them
WHISKERS, MARGIN = 0.25, 0.08


@dataclass(frozen=True, eq=False)
class Drawing:
    """A chart for the page: what is seen, how to read it, and one figure a view (none: nothing to draw)."""

    title: str
    note: str
    views: Mapping[str, go.Figure] = field(default_factory=dict)


def figure(traces: Sequence[Any], height: int, **layout: Any) -> go.Figure:
    """Return a figure in the house style; `layout` adds to it."""
    made = go.Figure(data=list(traces), layout={"template": _template(), "height": height, **layout})
    if len([trace for trace in traces if trace.showlegend is not False]) < 2:
        made.update_layout(showlegend=False)
    return made


def plain(text: str) -> str:
    """Return the text escaped for plotly, which reads labels as a kind of HTML."""
    return escape(text, quote=False)


def hover(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the hover text of a trial: objectives, error, and settings unlike the baseline's."""
    values = [
        f"{objective.metric} {formats.metric(objective.metric, objective_value(trial, objective))}"
        for objective in study.spec.objectives
    ]
    is_objective = any(objective.metric == DEFAULT_ERROR for objective in study.spec.objectives)
    if DEFAULT_ERROR in trial.metrics and not is_objective:
        values.append(f"{DEFAULT_ERROR} {formats.metric(DEFAULT_ERROR, trial.metrics[DEFAULT_ERROR])}")
    failure = trial.failure
    if failure is not None:
        values = [formats.shortened(f"{failure.stage}, {failure.kind}: {failure.message}", 90)]
    marks = ", ".join([trial.state, *marks_of(trial)])
    lines = [f"trial {trial.number}, {marks}", *values, *_differences(study, trial)]
    return "<br>".join(plain(line) for line in lines)


def log_scale(values: Sequence[float], spread: float = 8) -> bool:
    """Return whether the values need a logarithmic axis to show the small ones."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > spread


def ends(estimates: Sequence[Estimate], *, logarithmic: bool = False) -> tuple[float, float]:
    """Return the ends of an axis of these values, with at most a quarter of their span for intervals.

    So one noisy trial does not squeeze the others. What is nowhere negative has no axis below 0.
    """
    values = [one.value for one in estimates]
    bounds = [bound for one in estimates for bound in (one.low, one.high) if bound is not None]
    low, high = min(values), max(values)
    if logarithmic:
        room, margin = (high / low) ** WHISKERS, (high / low) ** MARGIN
        least, most = max(min(values + bounds), low / room), min(max(values + bounds), high * room)
        return least / margin, most * margin
    span = max(high - low, 0.1 * max(abs(low), abs(high))) or 1.0
    room = WHISKERS * span
    least, most = max(min(values + bounds), low - room), min(max(values + bounds), high + room)
    least -= MARGIN * span
    return (least if low < 0 else max(least, 0.0)), most + MARGIN * span


def value_axis(shown: tuple[float, float], *, logarithmic: bool = False) -> dict[str, Any]:
    """Return the visible part of an axis, as plotly expects it."""
    if logarithmic:
        return {"type": "log", "range": [math.log10(end) for end in shown]}
    return {"type": "linear", "range": list(shown)}


def numbers(trials: Sequence[int], most: int = 20) -> str:
    """Return trial numbers one after the other, and how many more there are."""
    listed = ", ".join(str(number) for number in trials[:most])
    return f"{listed} and {len(trials) - most:,} more" if len(trials) > most else listed


def marker(role: str) -> dict[str, Any]:
    """Return the marker style for trials of a role."""
    thin = role in ("failed", "infeasible", "pruned")
    line = {"width": 2 if thin else 1, "color": light(role if thin else "surface")}
    return {"symbol": SYMBOLS[role], "size": SIZES[role], "color": light(role), "line": line}


def bars(
    estimates: Sequence[Estimate], role: str, shown: tuple[float, float] = (-math.inf, math.inf)
) -> dict[str, Any]:
    """Return error bars of the 95 % intervals, cut off where nothing is shown; of length zero without one."""
    low, high = shown
    return {
        "type": "data",
        "symmetric": False,
        "array": [0.0 if one.high is None else min(one.high, high) - one.value for one in estimates],
        "arrayminus": [0.0 if one.low is None else one.value - max(one.low, low) for one in estimates],
        "color": light(role),
        "thickness": 1,
        "width": 0,
    }


def rule(
    axis: Literal["x", "y"], at: float, role: str, label: str = "", dash: str = "solid"
) -> dict[str, Any]:
    """Return a line right across the plot at a value of one axis; solid ones are below the grid."""
    other = "y" if axis == "x" else "x"
    made: dict[str, Any] = {"type": "line", f"{other}ref": f"{other} domain", f"{other}0": 0, f"{other}1": 1}
    made |= {f"{axis}0": at, f"{axis}1": at, "layer": "below" if dash == "solid" else "above"}
    made["line"] = {"color": light(role), "width": 1 if dash == "solid" else 2, "dash": dash}
    if label:
        made["label"] = {
            "text": plain(label),
            "textposition": "end",
            "textangle": 0,
            "xanchor": "right",
            "yanchor": "bottom",
            "font": {"color": light(role), "size": 12},
        }
    return made


def time_unit(longest_seconds: float) -> tuple[str, float]:
    """Return the unit for a time of this length, and the seconds in one unit."""
    if longest_seconds < 180:
        return "seconds", 1.0
    return ("minutes", 60.0) if longest_seconds < 3 * 3600 else ("hours", 3600.0)


def _differences(study: StudyRecord, trial: TrialRecord, most: int = 8) -> list[str]:
    reference = study.spec.baseline.settings
    changed = [
        formats.shortened(f"{dimension.name} = {formats.setting(chosen(trial, dimension))}", 60)
        for dimension in study.spec.space
        if chosen(trial, dimension) != reference.get(dimension.name, dimension.default)
    ]
    more = [f"and {len(changed) - most} more settings"] if len(changed) > most else []
    return [*changed[:most], *more]


def _template() -> dict[str, Any]:
    axis = {
        "gridcolor": light("line"),
        "linecolor": light("line"),
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 12, "font": {"size": 13}},
        "tickcolor": light("line"),
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": light("ink")},
            "paper_bgcolor": light("surface"),
            "plot_bgcolor": light("surface"),
            "margin": {"l": 16, "r": 16, "t": 8, "b": 16},
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left"},
            "hoverlabel": {
                "align": "left",
                "bgcolor": light("surface"),
                "bordercolor": light("muted"),
                "font": {"family": FONT, "size": 12, "color": light("ink")},
            },
            "hovermode": "closest",
            "dragmode": False,
        }
    }
