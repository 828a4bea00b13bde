"""Two objectives against each other, and what each costs of the other: the Pareto front."""

from dashboards import formats
from dashboards.charts import accuracy, plane_figure
from dashboards.charts.drawing import Drawing
from dashboards.charts.planes import note, plane
from studies.analysis import pareto_front
from studies.records import StudyRecord


def draw(study: StudyRecord) -> Drawing | None:
    """The first two objectives; None where there is one, or where the accuracy chart shows these two."""
    objectives = [objective.metric for objective in study.spec.objectives]
    if len(objectives) < 2 or set(objectives[:2]) == set(accuracy.metrics(study)):
        return None
    data = plane(study, objectives[1], objectives[0])
    if data is None:
        return None
    title = (
        f"{formats.plural(len(pareto_front(study)), 'trial')} on the Pareto front of {', '.join(objectives)}"
    )
    return Drawing(title, note(data), {"": plane_figure.figure(data)})
