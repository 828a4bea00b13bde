"""The baseline measured again: how much it differs from run to run, and whether the machine drifted."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.html.palette import light
from dashboards.words import evidence, formats
from dashboards.words.verdict import comparative
from studies.analysis.view import StudyView
from studies.belief.noise import BaselineRun, Drift, baseline_runs
from studies.core.metrics import value_of
from studies.core.records import StudyRecord

FEWEST_RUNS = 2


class Kind(NamedTuple):
    """How the runs of one kind are drawn."""

    name: str
    role: str
    symbol: str


KINDS = {
    None: Kind("trial 0", "baseline", "diamond"),
    "self-test": Kind("self-test", "feasible", "circle"),
    "anchor": Kind("between trials", "best", "square"),
    "final": Kind("finals", "again", "triangle-up"),
}


def draw(view: StudyView) -> Drawing | None:
    """Return the chart; None where the baseline was measured only once."""
    found = runs(view.study)
    if len(found) < FEWEST_RUNS:
        return None
    return Drawing(_title(view, found), _note(view), {"": _figure(view, found)})


def runs(study: StudyRecord) -> tuple[BaselineRun, ...]:
    """Return every measurement of the baseline in the order of time, those of the finals among them."""
    name = study.spec.objectives[0].metric
    finals = [
        BaselineRun(one.started_at, "final", value)
        for one in study.repeats
        if (one.role, one.trial) == ("final", 0) and (value := value_of(one.evaluation, name)) is not None
    ]
    every = [*baseline_runs(study.trials, study.repeats, name), *finals]
    return tuple(sorted((one for one in every if math.isfinite(one.value.value)), key=lambda one: one.at))


def line(found: Drift, ends: Sequence[datetime]) -> list[float]:
    """Return the values of the fitted line at these times."""
    hours = np.array([_hours(found, run.at) for run in found.runs])
    logs = np.log([run.value.value for run in found.runs])
    slope = math.log(found.change.value) / found.hours
    return [math.exp(logs.mean() + slope * (_hours(found, at) - hours.mean())) for at in ends]


def _hours(found: Drift, at: datetime) -> float:
    return (at - found.runs[0].at).total_seconds() / 3600


def _title(view: StudyView, found: Sequence[BaselineRun]) -> str:
    drifting = view.drift
    if drifting is None:
        return f"The baseline again: measured {formats.plural(len(found), 'time')}"
    if not drifting.significant:
        return "The baseline again: no significant drift"
    objective = view.study.spec.objectives[0]
    better = (drifting.change.value < 1) == (objective.direction == "minimize")
    size = formats.share(abs(drifting.change.value - 1))
    return f"The baseline again: it became {size} {comparative(objective, better=better)}"


def _note(view: StudyView) -> str:
    told = [text for text in (evidence.drifted(view), evidence.detectable(view)) if text]
    fitted = [] if view.drift is None else ["The line is the drift, fitted to all but the finals."]
    return " ".join(["Each mark is one measurement with its 95 % interval.", *fitted, *told])


def _figure(view: StudyView, found: Sequence[BaselineRun]) -> go.Figure:
    seconds = [(run.at - found[0].at).total_seconds() for run in found]
    unit, divisor = drawing.time_unit(max(seconds))
    placed = [(second / divisor, run) for second, run in zip(seconds, found, strict=True)]
    shown = drawing.ends([run.value for run in found])
    traces = [_trace([entry for entry in placed if entry[1].role == role], role, shown) for role in KINDS]
    traces = [trace for trace in traces if len(trace.x)]
    drifting = view.drift
    if drifting is not None:
        first, last = drifting.runs[0].at, drifting.runs[-1].at
        ends = [(at - found[0].at) / timedelta(seconds=divisor) for at in (first, last)]
        traces.append(_line(ends, line(drifting, (first, last)), drifting.significant))
    return drawing.figure(
        traces,
        340,
        xaxis={"title": {"text": f"time ({unit})"}},
        yaxis={
            "title": {"text": formats.about(view.study.spec.objectives[0].metric)},
            **drawing.value_axis(shown),
        },
    )


def _trace(
    placed: Sequence[tuple[float, BaselineRun]], role: str | None, shown: tuple[float, float]
) -> go.Scatter:
    name, colour, symbol = KINDS[role]
    values = [run.value for _, run in placed]
    return go.Scatter(
        x=[at for at, _ in placed],
        y=[value.value for value in values],
        error_y=drawing.bars(values, colour, shown),
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 9, "color": light(colour)},
        hovertemplate=f"{name}: %{{y}}<extra></extra>",
    )


def _line(xs: Sequence[float], ys: Sequence[float], significant: bool) -> go.Scatter:
    return go.Scatter(
        x=list(xs),
        y=list(ys),
        mode="lines",
        name="drift" if significant else "drift, not significant",
        line={"color": light("muted"), "width": 2, "dash": "dash" if significant else "dot"},
        hoverinfo="skip",
    )
