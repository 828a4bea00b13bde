"""How each trial's latencies are spread, the fastest first; quantiles only, never the samples themselves."""

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing, plain
from dashboards.html.palette import light
from dashboards.words import formats
from studies.analysis.comparison import Spread, finite, spread
from studies.analysis.view import StudyView
from studies.core.metrics import DEFAULT_OBJECTIVE
from studies.core.records import StudyRecord, TrialRecord

MOST_TRIALS = 30
# the other roles have a soft colour of their own
FILLS = {"feasible": "line", "pruned": "surface"}


class Row(NamedTuple):
    number: int
    role: str
    spread: Spread
    text: str


class Distributions(NamedTuple):
    """The trials shown, the smallest median first, and how many slower ones are left out."""

    rows: tuple[Row, ...]
    left_out: int


def draw(view: StudyView) -> Drawing | None:
    """Return the chart; None where no trial was measured."""
    data = distributions(view)
    if not data.rows:
        return None
    return Drawing(_title(data), _note(data), {"": _figure(data)})


def distributions(view: StudyView, most: int = MOST_TRIALS) -> Distributions:
    """Return the `most` trials of smallest median latency; best and baseline are always included."""
    roles = view.roles
    ordered = [trial for _, trial in sorted(_medians(view.study), key=lambda entry: entry[0])]
    shown = {trial.number for trial in ordered if trial is view.baseline or roles[trial.number] == "best"}
    for trial in ordered:
        if len(shown) >= most:
            break
        shown.add(trial.number)
    rows = [
        Row(trial.number, roles[trial.number], found, _text(view.study, trial, found))
        for trial in ordered
        if trial.number in shown and (found := spread(trial)) is not None
    ]
    return Distributions(tuple(rows), len(ordered) - len(rows))


def _medians(study: StudyRecord) -> list[tuple[float, TrialRecord]]:
    found = [(finite(trial, DEFAULT_OBJECTIVE), trial) for trial in study.trials if trial.measurement]
    return [(estimate.value, trial) for estimate, trial in found if estimate is not None]


def _text(study: StudyRecord, trial: TrialRecord, found: Spread) -> str:
    quantiles = (
        f"median {formats.number(found.median)} ms, middle half {formats.number(found.first_quartile)} to "
        f"{formats.number(found.third_quartile)}, 1 % to 99 % {formats.number(found.low)} to "
        f"{formats.number(found.high)}, {formats.plural(found.samples, 'inference')}"
    )
    return f"{drawing.hover(study, trial)}<br>{plain(quantiles)}"


def _title(data: Distributions) -> str:
    by_role = {row.role: row.spread for row in data.rows}
    best, reference = by_role.get("best"), by_role.get("baseline")
    if best is None or reference is None:
        return f"Latency of {formats.plural(len(data.rows), 'measured trial')}"
    before, after = formats.number(reference.median), formats.number(best.median)
    medians = f"Median {after} ms against the baseline's {before} ms"
    if best.high < reference.low:
        return f"{medians}; its 99th percentile is below the baseline's 1st"
    if best.third_quartile < reference.first_quartile:
        return f"{medians}; the middle halves do not overlap"
    return medians


def _note(data: Distributions) -> str:
    rest = f" {formats.plural(data.left_out, 'slower trial')} left out." if data.left_out else ""
    pruned = (
        " Pale: stopped early as clearly worse." if any(row.role == "pruned" for row in data.rows) else ""
    )
    return (
        "Latency of single inferences, the smallest median first. Box: the middle half, with the median; "
        f"whiskers: 1st to 99th percentile.{pruned}{rest}"
    )


def _figure(data: Distributions) -> go.Figure:
    labels = [_label(row) for row in data.rows]
    traces = [_trace(data, role) for role in drawing.ROLES if any(row.role == role for row in data.rows)]
    traces.append(_pointers(data))
    highs = [row.spread.high for row in data.rows] + [row.spread.low for row in data.rows]
    return drawing.figure(
        traces,
        110 + 22 * len(data.rows),
        xaxis={
            "title": {"text": "time of one inference (ms)"},
            "type": "log" if drawing.log_scale(highs) else "linear",
        },
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels[::-1],
            "showgrid": False,
            "range": [-0.7, len(labels) - 0.3],
            "dtick": 1,
            "tickfont": {"size": 12},
        },
        boxgap=0.35,
    )


def _trace(data: Distributions, role: str) -> go.Box:
    rows = [row for row in data.rows if row.role == role]
    return go.Box(
        y=[_label(row) for row in rows],
        q1=[row.spread.first_quartile for row in rows],
        median=[row.spread.median for row in rows],
        q3=[row.spread.third_quartile for row in rows],
        lowerfence=[row.spread.low for row in rows],
        upperfence=[row.spread.high for row in rows],
        orientation="h",
        name=role,
        line={"color": light(role), "width": 1.5},
        fillcolor=light(FILLS.get(role, f"{role}-soft")),
        whiskerwidth=0.4,
        hoverinfo="skip",
        offsetgroup="all",
    )


def _pointers(data: Distributions) -> go.Scatter:
    """Unseen points at the medians that carry the text: plotly shows none of a box's own."""
    return go.Scatter(
        x=[row.spread.median for row in data.rows],
        y=[_label(row) for row in data.rows],
        mode="markers",
        marker={"size": 18, "opacity": 0},
        showlegend=False,
        text=[row.text for row in data.rows],
        hovertemplate="%{text}<extra></extra>",
    )


def _label(row: Row) -> str:
    return f"{row.role} {row.number}" if row.role in ("best", "baseline") else str(row.number)
