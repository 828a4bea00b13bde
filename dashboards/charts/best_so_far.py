"""How the search went: every trial's objective and the best so far, by trial and by time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.html.palette import light
from dashboards.words import formats
from dashboards.words.verdict import headline
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import objective_value
from studies.analysis.view import StudyView
from studies.core.records import Objective

# The part of the height that is kept for trials without a value.
_RAIL = 0.07


class Mark(NamedTuple):
    """One trial; `estimate` is None where it has no value."""

    number: int
    elapsed_seconds: float
    estimate: Estimate | None
    role: str
    text: str


class Level(NamedTuple):
    """The best so far, from the end of the trial that set it."""

    number: int
    elapsed_seconds: float
    value: float


class Progress(NamedTuple):
    objective: Objective
    marks: tuple[Mark, ...]
    levels: tuple[Level, ...]
    baseline: Estimate | None


def draw(view: StudyView) -> Drawing | None:
    """Return the chart, by trial and by time; None before the first trial has finished."""
    if not view.study.trials:
        return None
    data = progress(view)
    unit, divisor = drawing.time_unit(max(mark.elapsed_seconds for mark in data.marks))
    numbers = [float(mark.number) for mark in data.marks]
    seconds = [mark.elapsed_seconds / divisor for mark in data.marks]
    return Drawing(
        _title(view),
        _note(data),
        {
            "By trial": _figure(data, numbers, [float(level.number) for level in data.levels], "trial"),
            "By time": _figure(
                data, seconds, [level.elapsed_seconds / divisor for level in data.levels], f"time ({unit})"
            ),
        },
    )


def progress(view: StudyView) -> Progress:
    """Return every trial in the order of the search, and the levels of the best so far."""
    objective, roles = view.study.spec.objectives[0], view.roles
    marks, levels = [], []
    for step in view.steps:
        trial = step.trial
        value = objective_value(trial, objective) if trial.state != "failed" else None
        text = drawing.hover(view.study, trial)
        marks.append(Mark(trial.number, step.elapsed_seconds, value, roles[trial.number], text))
        standing = objective_value(step.best, objective) if step.best else None
        if standing is not None:
            levels.append(Level(trial.number, step.elapsed_seconds, standing.value))
    before = objective_value(view.baseline, objective) if view.baseline else None
    return Progress(objective, tuple(marks), tuple(levels), before)


def _title(view: StudyView) -> str:
    study, found = view.study, view.comparison
    if len(study.trials) == 1:
        return "Only the baseline so far"
    if found.best is None:
        return f"No feasible trial among {formats.plural(len(study.trials), 'trial')}"
    if found.verdict in ("faster", "unproven"):
        than = " than the baseline" if found.verdict == "faster" else ""
        return f"{headline(view)}{than}, found by trial {found.best.number}"
    if found.verdict == "no baseline":
        return f"The best was found by trial {found.best.number}; the baseline has no value"
    return f"Nothing significantly better than the baseline in {formats.plural(len(study.trials), 'trial')}"


def _note(data: Progress) -> str:
    without = [mark.number for mark in data.marks if mark.estimate is None]
    rail = f" At the foot, trials without a value: {drawing.numbers(without)}." if without else ""
    pruned = any(mark.role == "pruned" for mark in data.marks)
    pale = " Pruned ones were stopped early, clearly worse than the best by then." if pruned else ""
    return (
        "The line is the best feasible trial so far; bars are 95 % intervals. "
        f"Infeasible trials miss a constraint and never count as the best.{pale}{rail}"
    )


def _figure(data: Progress, xs: Sequence[float], level_xs: Sequence[float], axis: str) -> go.Figure:
    found = [mark.estimate for mark in data.marks if mark.estimate]
    logarithmic = drawing.log_scale([one.value for one in found])
    shown = drawing.ends(found, logarithmic=logarithmic) if found else (0.0, 1.0)
    traces = [_level_trace(data, level_xs)] if data.levels else []
    traces += [_mark_trace(data, xs, role, shown) for role in drawing.ROLES if _has(data, role)]
    failed = [index for index, mark in enumerate(data.marks) if mark.estimate is None]
    if failed:
        traces.append(_rail_trace(data, xs, failed))
    y_axis = {
        "title": {"text": formats.about(data.objective.metric)},
        "domain": [_RAIL + 0.03 if failed else 0, 1],
        **drawing.value_axis(shown, logarithmic=logarithmic),
    }
    return drawing.figure(
        traces,
        400,
        xaxis={"title": {"text": axis}, "anchor": "y2" if failed else "y"} | _x_range(xs),
        yaxis=y_axis,
        yaxis2={"domain": [0, _RAIL], "visible": False, "range": [-1, 1], "fixedrange": True},
        shapes=[drawing.rule("y", data.baseline.value, "baseline", "baseline", "dash")]
        if data.baseline
        else [],
    )


def _x_range(xs: Sequence[float]) -> dict[str, Any]:
    """Return the range from first to last, with room on the right for the baseline's label."""
    span = max(xs) or 1.0
    return {"range": [-0.03 * span, 1.12 * span], "dtick": 1 if span <= 10 and span == int(span) else None}


def _has(data: Progress, role: str) -> bool:
    return any(mark.role == role and mark.estimate for mark in data.marks)


def _level_trace(data: Progress, xs: Sequence[float]) -> go.Scatter:
    return go.Scatter(
        x=list(xs),
        y=[level.value for level in data.levels],
        mode="lines",
        name="best so far",
        line={"shape": "hv", "width": 3, "color": light("best")},
        hoverinfo="skip",
    )


def _mark_trace(data: Progress, xs: Sequence[float], role: str, shown: tuple[float, float]) -> go.Scatter:
    chosen = [
        (x, mark, mark.estimate)
        for x, mark in zip(xs, data.marks, strict=True)
        if mark.role == role and mark.estimate
    ]
    return go.Scatter(
        x=[x for x, _, _ in chosen],
        y=[found.value for _, _, found in chosen],
        error_y=drawing.bars([found for _, _, found in chosen], role, shown),
        mode="markers",
        name=role,
        marker=drawing.marker(role),
        text=[mark.text for _, mark, _ in chosen],
        hovertemplate="%{text}<extra></extra>",
    )


def _rail_trace(data: Progress, xs: Sequence[float], failed: Sequence[int]) -> go.Scatter:
    return go.Scatter(
        x=[xs[index] for index in failed],
        y=[0] * len(failed),
        yaxis="y2",
        mode="markers",
        name="failed",
        marker=drawing.marker("failed"),
        text=[data.marks[index].text for index in failed],
        hovertemplate="%{text}<extra></extra>",
    )
