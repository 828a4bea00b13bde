"""The charts of a study's page, in the order in which they appear: one entry a chart."""

from collections.abc import Callable, Mapping

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
from studies.core.records import StudyRecord

CHARTS: Mapping[str, Callable[[StudyRecord], Drawing | None]] = {
    "best-so-far": best_so_far.draw,
    "finals": finals.draw,
    "accuracy": planes.draw_accuracy,
    "front": planes.draw_front,
    "importances": importances.draw,
    "choices": choices.draw,
    "distributions": distributions.draw,
    "baseline-again": baseline_again.draw,
    "machine": machine.draw,
}

__all__ = ["CHARTS", "Drawing"]
