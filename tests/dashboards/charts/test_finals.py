import pytest

from dashboards.charts import finals as chart
from dashboards.charts.finals import Row, rows
from dashboards.words.formats import TIMES
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from studies.finals.verdict import Finals, finals
from tests.records import study_record
from tests.repeats import close_study


def held(study: StudyRecord) -> Finals:
    found = finals(study)
    assert found is not None
    return found


def against(study: StudyRecord, winner: bool = False) -> tuple[Row, ...]:
    of = held(study)
    return rows(study, of, (of.winner.trial, 0) if winner else (0, 0))


def test_every_finalist_but_the_baseline_is_a_row_with_its_interval_and_sessions() -> None:
    study = close_study(rebuilds=1)
    found = against(study)
    assert [row.name for row in found] == [
        f"trial {one.trial}" + (", rebuild 1" if one.build else "")
        for one in held(study).finalists
        if one.trial
    ]
    for row in found:
        assert len(row.sessions) == 5
        assert row.ratio.low is not None
        assert row.ratio.high is not None
        assert row.ratio.low < row.ratio.value < row.ratio.high
    assert [row.role for row in found].count("best") == 1


def test_against_the_winner_stand_the_others() -> None:
    study = close_study()
    names = [row.name for row in against(study, winner=True)]
    assert sorted(["baseline", f"trial {held(study).winner.trial}", *names]) == [
        "baseline",
        "trial 1",
        "trial 2",
        "trial 3",
    ]


def test_the_figure_has_a_dot_a_session_below_each_interval() -> None:
    drawing = chart.draw(StudyView(close_study()))
    assert drawing is not None
    assert list(drawing.views) == ["Against the baseline", "Against the winner"]
    dots, *intervals = drawing.views["Against the baseline"].data
    assert len(dots.x) == 15
    assert len(intervals) == 3
    assert {round(y + 0.22) for y in dots.y} == {1, 2, 3}
    assert [trace.y[0] for trace in intervals] == [3, 2, 1]


@pytest.mark.parametrize(
    ("factors", "title"),
    [
        ((1.0, 1.2, 1.2), r" is faster than the baseline"),
        ((1.99, 2.1, 2.1), "nothing is faster than the baseline for certain"),
        ((2.5, 2.5, 2.5), "baseline won"),
    ],
)
def test_the_title_is_the_verdict(factors: tuple[float, ...], title: str) -> None:
    drawing = chart.draw(StudyView(close_study(factors=factors)))
    assert drawing is not None
    assert drawing.title.startswith("Finals over 5 sessions: ")
    assert drawing.title.endswith(title)


def test_a_winning_baseline_is_one_view() -> None:
    drawing = chart.draw(StudyView(close_study(factors=(2.5, 2.5, 2.5))))
    assert drawing is not None
    assert list(drawing.views) == ["Against the winner"]


def test_ratio_one_is_marked_if_it_fits() -> None:
    drawing = chart.draw(StudyView(close_study()))
    assert drawing is not None
    far, near = drawing.views.values()
    assert far.layout.shapes == ()
    assert [shape.x0 for shape in near.layout.shapes] == [1]
    assert near.layout.xaxis.ticksuffix == TIMES


def test_without_finals_there_is_no_chart() -> None:
    assert chart.draw(StudyView(study_record(10))) is None
