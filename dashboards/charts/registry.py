"""The charts of a study's page, in the order in which they appear: one entry a chart."""

from collections.abc import Callable
from typing import NamedTuple

from dashboards.charts import (
    baseline_again,
    best_so_far,
    choices,
    distributions,
    finals,
    importances,
    machine,
    planes,
)
from dashboards.charts.drawing import Drawing
from studies.analysis.view import StudyView


class Chart(NamedTuple):
    """`draw` returns None where the study has nothing to draw; `live` as in a page's Section."""

    title: str
    draw: Callable[[StudyView], Drawing | None]
    live: bool = True


CHARTS: dict[str, Chart] = {
    "best-so-far": Chart("The best so far", best_so_far.draw),
    "finals": Chart("Finals", finals.draw, live=False),
    "accuracy": Chart("Objective and accuracy", planes.draw_accuracy),
    "front": Chart("Objectives", planes.draw_front),
    "importances": Chart("What decides", importances.draw),
    "choices": Chart("Choices", choices.draw),
    "distributions": Chart("Latencies", distributions.draw),
    "baseline-again": Chart("The baseline again", baseline_again.draw),
    "machine": Chart("The machine", machine.draw),
}
