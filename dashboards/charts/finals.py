"""The finals as a forest plot: each finalist's ratio with its interval, and one dot a session below it."""

from typing import NamedTuple

import plotly.graph_objects as go

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.html.palette import light
from dashboards.words import formats
from dashboards.words.finalists import is_winner, name_of, session_ratios
from dashboards.words.verdict import comparative
from engines.statistics.estimates import Estimate
from studies.analysis.view import StudyView
from studies.core.records import Objective, StudyRecord
from studies.finals.verdict import Finals, Key, verdict_of


class Row(NamedTuple):
    """A finalist against another; `sessions` are the ratios that its sessions found."""

    name: str
    role: str
    ratio: Estimate
    sessions: tuple[float, ...]


def draw(view: StudyView) -> Drawing | None:
    """Return the chart, against the baseline and against the winner; None without finals."""
    study, held = view.study, view.finals
    if held is None:
        return None
    # by the other's key, so that a winning baseline has one view
    others = {(0, 0): "Against the baseline", (held.winner.trial, held.winner.build): "Against the winner"}
    views = {
        label: figure
        for other, label in others.items()
        if (figure := _figure(rows(study, held, other), label.lower())) is not None
    }
    return Drawing(_title(study.spec.objectives[0], held), _note(held), views) if views else None


def rows(study: StudyRecord, held: Finals, other: Key) -> tuple[Row, ...]:
    """Return the finalists that have a ratio to the other one, in the order of the finals.

    The baseline, which may be far behind, is only what they are compared with.
    """
    sessions = session_ratios(study, held, other)
    found = []
    for one in held.finalists:
        key, ratio = (one.trial, one.build), one.against_baseline if other == (0, 0) else one.against_winner
        if ratio is not None and key not in (other, (0, 0)):
            role = "best" if is_winner(one, held) else "infeasible" if one.wrong else "feasible"
            found.append(Row(name_of(one), role, ratio, tuple(sessions[key])))
    return tuple(found)


def _title(objective: Objective, held: Finals) -> str:
    sessions = formats.plural(held.sessions, "session")
    ratio = held.winner.against_baseline
    if ratio is None:
        return f"Finals over {sessions}: {name_of(held.winner)} won"
    verdict = verdict_of(ratio)
    if verdict == "same":
        return f"Finals over {sessions}: nothing is {comparative(objective)} than the baseline for certain"
    word = comparative(objective, better=verdict == "faster")
    return f"Finals over {sessions}: {name_of(held.winner)} is {word} than the baseline"


def _note(held: Finals) -> str:
    wrong = any(one.wrong for one in held.finalists if one.trial)
    return (
        "Ratios of more than 1 are better. Bars are 95 % intervals for all comparisons at once, dots single "
        f"sessions.{' Open triangles are out of the race.' if wrong else ''}"
    )


def _figure(data: tuple[Row, ...], axis: str) -> go.Figure | None:
    if not data:
        return None
    places = {row.name: len(data) - index for index, row in enumerate(data)}
    low, high = _range(data)
    return drawing.figure(
        [_sessions(data, places), *(_ratio(row, places[row.name]) for row in data)],
        120 + 34 * len(data),
        xaxis={
            "range": [low, high],
            "nticks": 5,
            "tickangle": 0,
            "ticksuffix": formats.TIMES,
            "title": {"text": f"ratio {axis}"},
        },
        yaxis={
            "tickvals": list(places.values()),
            "ticktext": list(places),
            "range": [0.4, len(data) + 0.6],
            "showgrid": False,
        },
        shapes=[drawing.rule("x", 1, "baseline", dash="dash")] if low <= 1 <= high else [],
        showlegend=False,
    )


def _sessions(data: tuple[Row, ...], places: dict[str, int]) -> go.Scatter:
    dots = [(ratio, places[row.name]) for row in data for ratio in row.sessions]
    return go.Scatter(
        x=[ratio for ratio, _ in dots],
        # below the interval, so that neither hides the other
        y=[place - 0.22 for _, place in dots],
        mode="markers",
        marker={"size": 6, "symbol": "circle-open", "color": light("muted"), "line": {"width": 1.5}},
        hovertemplate="one session: %{x:.4f}<extra></extra>",
    )


def _ratio(row: Row, place: int) -> go.Scatter:
    return go.Scatter(
        x=[row.ratio.value],
        y=[place],
        error_x={**drawing.bars([row.ratio], row.role), "thickness": 2, "width": 4},
        mode="markers",
        marker={**drawing.marker(row.role), "size": 11},
        text=[f"{row.name}: {formats.factor(row.ratio)}<br>{formats.interval(row.ratio)}"],
        hovertemplate="%{text}<extra></extra>",
    )


def _range(data: tuple[Row, ...]) -> tuple[float, float]:
    """Return the range of the axis, which includes 1 unless that squeezes the finalists."""
    ends = [
        end for row in data for end in (row.ratio.low, row.ratio.value, row.ratio.high) if end is not None
    ]
    ends += [ratio for row in data for ratio in row.sessions]
    low, high = min(ends), max(ends)
    reach = max(high - low, 0.01 * high)
    if low - 2 * reach <= 1 <= high + 2 * reach:
        low, high = min(low, 1.0), max(high, 1.0)
    room = 0.06 * max(high - low, 0.01 * high)
    return low - room, high + room
