"""The charts of a study's page, in the order in which they appear: one entry a chart."""

from collections.abc import Callable, Mapping

from dashboards.charts import accuracy, best_so_far, choices, distributions, fronts, importances
from dashboards.charts.drawing import Drawing
from studies.records import StudyRecord

CHARTS: Mapping[str, Callable[[StudyRecord], Drawing | None]] = {
    "best-so-far": best_so_far.draw,
    "accuracy": accuracy.draw,
    "front": fronts.draw,
    "importances": importances.draw,
    "choices": choices.draw,
    "distributions": distributions.draw,
}

__all__ = ["CHARTS", "Drawing"]
