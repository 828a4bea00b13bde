"""The charts of a study's page, in the order in which they appear: one entry a chart."""

from collections.abc import Callable, Mapping

from dashboards.charts import (
    accuracy,
    baseline_again,
    best_so_far,
    choices,
    distributions,
    finals,
    fronts,
    importances,
    machine,
)
from dashboards.charts.drawing import Drawing
from studies.records import StudyRecord

CHARTS: Mapping[str, Callable[[StudyRecord], Drawing | None]] = {
    "best-so-far": best_so_far.draw,
    "finals": finals.draw,
    "accuracy": accuracy.draw,
    "front": fronts.draw,
    "importances": importances.draw,
    "choices": choices.draw,
    "distributions": distributions.draw,
    "baseline-again": baseline_again.draw,
    "machine": machine.draw,
}

__all__ = ["CHARTS", "Drawing"]
