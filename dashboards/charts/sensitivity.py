"""Which nodes hurt most when they are lowered."""

import math
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing, plain
from dashboards.html.palette import light
from dashboards.words import formats
from engines.core.results import NodeError

NOT_FINITE = "NaN or infinite"
# how much longer than the longest that has an end a bar without one is drawn
BEYOND = 3.0


class Sensitivity(NamedTuple):
    """The nodes of a model in a precision, the most hurtful first, and how many of them are to be shown."""

    model: str
    precision: str
    nodes: tuple[NodeError, ...]
    most: int

    @property
    def shown(self) -> tuple[NodeError, ...]:
        return self.nodes[: self.most]


def draw(data: Sensitivity) -> Drawing:
    """Return the chart of the nodes that are shown, one at least."""
    return Drawing(_title(data), _note(data), {"": _figure(data)})


def error_text(error: float) -> str:
    """Return an error as text."""
    return formats.number(error, 3) if math.isfinite(error) else NOT_FINITE


def _title(data: Sensitivity) -> str:
    first = data.nodes[0]
    name = formats.shortened(first.node, 40)
    endless = sum(not math.isfinite(one.error) for one in data.nodes)
    if endless:
        more = f", and so do {endless - 1} more" if endless > 1 else ""
        return f"{name} alone makes the outputs {NOT_FINITE}{more}"
    if first.error == 0:
        return f"No node changes the outputs in {data.precision}"
    return f"{name} hurts most: error {error_text(first.error)} by itself"


def _note(data: Sensitivity) -> str:
    nodes = formats.plural(len(data.nodes), "node")
    text = (
        f"Relative L2 error of the worst output when one node alone is in {data.precision}; {nodes} in all."
    )
    left_out = len(data.nodes) - len(data.shown)
    return f"{text} {left_out} that hurt less are in the table only." if left_out > 0 else text


def _figure(data: Sensitivity) -> go.Figure:
    shown = data.shown[::-1]
    lengths = _lengths([one.error for one in shown])
    roles = ["best" if math.isfinite(one.error) else "failed" for one in shown]
    bars = go.Bar(
        x=lengths,
        y=[plain(formats.shortened(f"{len(shown) - place}. {one.node}")) for place, one in enumerate(shown)],
        orientation="h",
        marker={"color": [light(role) for role in roles]},
        text=[error_text(one.error) for one in shown],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{plain(one.node)} ({plain(one.operator)}): {error_text(one.error)}" for one in shown],
        hoverinfo="text",
    )
    return drawing.figure(
        [bars],
        90 + 30 * len(shown),
        xaxis=_axis(lengths),
        yaxis={"showgrid": False, "type": "category"},
        margin={"l": 16, "r": 110, "t": 8, "b": 16},
        bargap=0.4,
    )


def _axis(lengths: list[float]) -> dict[str, Any]:
    """Return a logarithmic axis from the power of ten below the shortest bar; zero has no bar."""
    axis: dict[str, Any] = {"title": {"text": "error of the outputs"}, "exponentformat": "power", "dtick": 1}
    positive = [length for length in lengths if length > 0]
    if not positive:
        return axis
    ends = [math.floor(math.log10(min(positive)) - 0.1), math.log10(max(positive)) + 0.1]
    return axis | {"type": "log", "range": ends}


def _lengths(errors: list[float]) -> list[float]:
    """Return the length of each bar; a value that is not finite gets the longest."""
    longest = max((error for error in errors if math.isfinite(error)), default=0.0) or 1.0
    return [error if math.isfinite(error) else BEYOND * longest for error in errors]
