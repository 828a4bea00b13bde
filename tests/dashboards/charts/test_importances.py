import pytest

from dashboards.charts import importances
from studies.analysis.view import StudyView
from tests.records import study_record


def test_dimensions_are_listed_by_their_share_and_fixed_ones_left_out() -> None:
    data = importances.importances(StudyView(study_record(60)))
    assert [name for name, _ in data.shares] == ["precision", "intra_op_threads", "optimization", "spinning"]
    assert sum(share for _, share in data.shares) == pytest.approx(1.0)
    assert data.explained is not None
    assert data.explained > 0.9


def test_the_title_names_what_decides_most() -> None:
    drawing = importances.draw(StudyView(study_record(60)))
    assert drawing is not None
    assert drawing.title.startswith("precision decides most: 4")
    assert drawing.title.endswith("% of what the settings explain")
    assert "of its variance; the rest is noise and interactions." in drawing.note
    bars = drawing.views[""].data[0]
    assert list(bars.y)[-1] == "precision"
    assert max(bars.x) == bars.x[-1]


def test_too_few_trials_are_reported() -> None:
    drawing = importances.draw(StudyView(study_record(4, failing=0)))
    assert drawing is not None
    assert drawing.title == "Too few trials to say what decides"
    assert "a hint only" in drawing.note


@pytest.mark.parametrize("trials", [0, 1])
def test_without_differences_there_is_no_chart(trials: int) -> None:
    assert importances.draw(StudyView(study_record(trials))) is None
