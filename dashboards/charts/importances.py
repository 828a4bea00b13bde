"""Which dimensions decide the objective: each one's share of what the settings explain."""

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing, plain
from dashboards.html.palette import light
from dashboards.words import formats
from studies.analysis.view import StudyView

MOST_DIMENSIONS = 15


class Importances(NamedTuple):
    """Dimension and share, the most important first; `explained` as in `studies.analysis.effects.Effects`."""

    metric: str
    shares: tuple[tuple[str, float], ...]
    explained: float | None
    trials: int


def draw(view: StudyView) -> Drawing | None:
    """Return the chart; None where the trials do not differ in the objective."""
    data = importances(view)
    if not data.shares:
        return None
    return Drawing(_title(data), _note(data), {"": _figure(data)})


def importances(view: StudyView) -> Importances:
    """Return the dimensions of which more than one choice was tried, the most important first."""
    found = view.effects
    shares = tuple(
        (dimension.name, dimension.importance)
        for dimension in found.dimensions
        if len(dimension.choices) > 1 and any(entry.importance > 0 for entry in found.dimensions)
    )
    return Importances(found.objective.metric, shares, found.explained, found.trials)


def _title(data: Importances) -> str:
    name, share = data.shares[0]
    if data.explained is None:
        return "Too few trials to say what decides"
    if data.explained < 0.3:
        return "The settings explain little of what was seen"
    return (
        f"{formats.shortened(name, 40)} decides most: {formats.percent(share)} of what the settings explain"
    )


def _note(data: Importances) -> str:
    trials = formats.plural(data.trials, "trial")
    kind = f"An additive model of the logarithm of {data.metric}, fitted to {trials}"
    if data.explained is None:
        return f"{kind}: as many terms as trials, so take this as a hint only."
    share = formats.percent(data.explained)
    rest = f"{kind}, explains {share} of its variance; the rest is noise and interactions."
    left_out = len(data.shares) - MOST_DIMENSIONS
    return f"{rest} {left_out} less important dimensions left out." if left_out > 0 else rest


def _figure(data: Importances) -> go.Figure:
    shown = data.shares[:MOST_DIMENSIONS][::-1]
    bars = go.Bar(
        x=[100 * share for _, share in shown],
        y=[plain(formats.shortened(name)) for name, _ in shown],
        orientation="h",
        marker={"color": light("best")},
        text=[formats.percent(share) for _, share in shown],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{plain(name)}: {formats.percent(share)}" for name, share in shown],
        hoverinfo="text",
    )
    return drawing.figure(
        [bars],
        90 + 30 * len(shown),
        xaxis={"title": {"text": "share (%)"}, "range": [0, 112], "dtick": 25},
        yaxis={"showgrid": False, "type": "category"},
        bargap=0.4,
    )
