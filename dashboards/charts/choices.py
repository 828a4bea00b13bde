"""What each choice multiplies the objective by, against the reference choice, with its interval."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing, plain
from dashboards.html.palette import light
from dashboards.words import formats
from engines.statistics.estimates import Estimate
from studies.analysis.effects import ChoiceEffect, DimensionEffect
from studies.analysis.view import StudyView
from studies.core.records import Objective

MOST_ROWS = 40


class Row(NamedTuple):
    """One choice; `reference` marks the one that the others of its dimension are compared with."""

    dimension: str
    value: str
    ratio: Estimate
    trials: int
    reference: bool
    separable: bool


class Choices(NamedTuple):
    """The choices of the most important dimensions first, and how many choices are left out."""

    objective: Objective
    rows: tuple[Row, ...]
    left_out: int


def draw(view: StudyView) -> Drawing | None:
    """Return the chart; None where no dimension was tried at more than one choice."""
    data = choices(view)
    if not data.rows:
        return None
    return Drawing(_title(data), _note(data), {"": _figure(data)})


def choices(view: StudyView, most: int = MOST_ROWS) -> Choices:
    """Return the choices of each dimension with more than one, whole dimensions up to `most` rows."""
    found = view.effects
    dimensions = [dimension for dimension in found.dimensions if len(dimension.choices) > 1]
    rows: list[Row] = []
    for dimension in dimensions:
        if not rows or len(rows) + len(dimension.choices) <= most:
            rows += [_row(dimension, choice) for choice in dimension.choices[:most]]
    total = sum(len(dimension.choices) for dimension in dimensions)
    return Choices(found.objective, tuple(rows), total - len(rows))


def _row(dimension: DimensionEffect, choice: ChoiceEffect) -> Row:
    return Row(
        dimension.name,
        formats.setting(choice.value),
        choice.ratio,
        choice.trials,
        choice is dimension.choices[0],
        choice.separable,
    )


def _title(data: Choices) -> str:
    sign = 1 if data.objective.direction == "minimize" else -1
    sure = [row for row in data.rows if _gain(row, sign) > 0]
    if not sure:
        return "No single choice is clearly better than the baseline's"
    row = max(sure, key=lambda entry: _gain(entry, sign))
    change = formats.percent(abs(row.ratio.value - 1))
    direction = "lowers" if row.ratio.value < 1 else "raises"
    name = formats.shortened(f"{row.dimension} = {row.value}", 50)
    return f"{name} {direction} {data.objective.metric} by {change}, the most of all choices"


def _gain(row: Row, sign: int) -> float:
    """Return the logarithm of the gain at the less favourable end of the interval."""
    if row.ratio.low is None or row.ratio.high is None:
        return -math.inf
    return -math.log(row.ratio.high) if sign > 0 else math.log(row.ratio.low)


def _note(data: Choices) -> str:
    better = "left" if data.objective.direction == "minimize" else "right"
    parts = [
        f"The factor on {data.objective.metric} against the hollow choice of the same dimension, "
        f"all else equal, with 95 % intervals: further {better} is better."
    ]
    if any(not row.separable for row in data.rows):
        parts.append(
            "Filled marks without a bar were always made together with another, and share its effect."
        )
    if data.left_out:
        parts.append(f"{formats.plural(data.left_out, 'choice')} of less important dimensions left out.")
    return " ".join(parts)


def _figure(data: Choices) -> go.Figure:
    placed = [(len(data.rows) - index, row) for index, row in enumerate(data.rows)]
    references = [position for position, row in placed if row.reference]
    low, high = _range(data)
    ticks = _ticks(low, high)
    return drawing.figure(
        [
            _trace([entry for entry in placed if entry[1].reference is wanted], wanted)
            for wanted in (True, False)
        ],
        110 + 24 * len(placed),
        xaxis={
            "type": "log",
            "range": [math.log10(low), math.log10(high)],
            "tickvals": ticks,
            "ticktext": [f"{tick:g}{formats.TIMES}" for tick in ticks],
            "tickangle": 0,
            "title": {"text": f"factor on {plain(data.objective.metric)}"},
        },
        yaxis={
            "tickvals": [position for position, _ in placed],
            "ticktext": [_tick_label(row) for _, row in placed],
            "range": [0.3, len(placed) + 0.7],
            "showgrid": False,
        },
        shapes=[
            drawing.rule("x", 1, "baseline", dash="dash"),
            *(drawing.rule("y", position + 0.5, "line") for position in references[1:]),
        ],
    )


def _tick_label(row: Row) -> str:
    return plain(f"{formats.shortened(row.dimension, 24)} = {formats.shortened(row.value, 20)}")


def _trace(placed: list[tuple[int, Row]], reference: bool) -> go.Scatter:
    role = "baseline" if reference else "best"
    return go.Scatter(
        x=[row.ratio.value for _, row in placed],
        y=[position for position, _ in placed],
        error_x=None if reference else _intervals([row for _, row in placed]),
        mode="markers",
        name="reference" if reference else "choice",
        marker={
            "symbol": "circle-open" if reference else "circle",
            "size": 9,
            "color": light(role),
            "line": {"width": 2 if reference else 0},
        },
        text=[_text(row) for _, row in placed],
        hovertemplate="%{text}<extra></extra>",
    )


def _intervals(rows: Sequence[Row]) -> dict[str, Any]:
    return {**drawing.bars([row.ratio for row in rows], "best"), "thickness": 2, "width": 4}


def _text(row: Row) -> str:
    certain = formats.interval(row.ratio) or ("the reference" if row.reference else "no interval")
    lines = (
        f"{row.dimension} = {row.value}",
        f"{formats.times(row.ratio.value)}, {certain}",
        formats.plural(row.trials, "trial"),
    )
    return "<br>".join(plain(line) for line in lines)


def _range(data: Choices) -> tuple[float, float]:
    """Return the ends of the axis: all values, with at most as much room again for intervals."""
    values = [row.ratio.value for row in data.rows]
    room = max(max(values) / min(values), 1.2)
    ends = [bound for row in data.rows for bound in (row.ratio.low, row.ratio.high) if bound]
    low = max(min([*values, *ends]), min(values) / room)
    high = min(max([*values, *ends]), max(values) * room)
    return low / 1.06, high * 1.06


def _ticks(low: float, high: float) -> list[float]:
    """Return the finest of several scales that puts at most six ticks on the axis."""
    scales = (
        [0.5 + 0.02 * step for step in range(76)],
        [0.5 + 0.05 * step for step in range(31)],
        [0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5],
        [0.25, 0.5, 1, 2, 4],
        [base * 10.0**power for power in range(-2, 3) for base in (1, 2, 5)],
    )
    for scale in scales:
        inside = [tick for tick in scale if low <= tick <= high]
        if scale[0] <= low and high <= scale[-1] and 2 <= len(inside) <= 6:
            return inside
    return [10.0**power for power in range(-13, 14) if low <= 10.0**power <= high]
