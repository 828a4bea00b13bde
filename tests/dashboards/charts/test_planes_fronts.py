from dashboards.charts import planes
from studies.analysis.comparison import pareto_front
from studies.analysis.view import StudyView
from tests.records import study_record


def test_two_objectives_are_drawn_against_each_other() -> None:
    study = study_record(40, objectives=["latency_ms", "engine_bytes"])
    drawing = planes.draw_front(StudyView(study))
    assert drawing is not None
    count = len(pareto_front(study))
    assert drawing.title == f"{count} trials on the Pareto front of latency_ms, engine_bytes"
    assert drawing.views[""].layout.xaxis.title.text == "size of the engine on disk (bytes)"
    assert drawing.views[""].data[0].name == "Pareto front"


def test_one_objective_has_no_front() -> None:
    assert planes.draw_front(StudyView(study_record(10))) is None


def test_the_error_as_second_objective_is_left_to_the_accuracy_chart() -> None:
    assert planes.draw_front(StudyView(study_record(10, objectives=["latency_ms", "error"]))) is None
