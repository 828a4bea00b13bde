"""The objective against accuracy: what of it the speed costs, and which trials stay within the limits."""

from dashboards import formats
from dashboards.charts import plane_figure
from dashboards.charts.drawing import Drawing
from dashboards.charts.planes import ERRORS, Plane, note, plane
from studies.metrics import ACCURACY_METRICS
from studies.records import StudyRecord


def draw(study: StudyRecord) -> Drawing | None:
    """The chart; None where no trial has both metrics."""
    data = plane(study, *metrics(study))
    return Drawing(_title(data), note(data), {"": plane_figure.figure(data)}) if data else None


def metrics(study: StudyRecord) -> tuple[str, str]:
    """The measure of accuracy that is limited or sought, the user's own first; the first other objective."""
    named = [constraint.metric for constraint in study.spec.constraints]
    named += [objective.metric for objective in study.spec.objectives]
    own = [metric.name for metric in study.spec.workload.metrics]
    measures = [*own, *ERRORS, *sorted(ACCURACY_METRICS.difference(ERRORS))]
    measure = next((metric for metric in measures if metric in named), ERRORS[0])
    others = [one.metric for one in study.spec.objectives if one.metric not in measures]
    return measure, others[0] if others else "latency_ms"


def _title(data: Plane) -> str:
    best = next((point for point in data.points if point.role == "best"), None)
    beyond = sum(any(limit.violation(point.x) > 0 for limit in data.x.limits) for point in data.points)
    limits = " and ".join(str(limit) for limit in data.x.limits)
    trials = formats.plural(len(data.points), "trial")
    missing = f"{f'{beyond} of' if beyond else 'none of'} {trials} beyond {limits}" if limits else ""
    if best is None:
        return f"No feasible trial; {missing}" if missing else "No feasible trial"
    value = f"The best has {data.x.metric} {formats.number(best.x, 3)}"
    return f"{value}; {missing}" if missing else value
