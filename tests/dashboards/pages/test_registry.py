"""A page is its table of sections, and each chart of the table of charts is one of them."""

import re

import pytest
from markupsafe import Markup

from dashboards.charts import drawing
from dashboards.charts.drawing import Drawing
from dashboards.charts.registry import CHARTS, Chart
from dashboards.html.document import element
from dashboards.pages.registry import PAGES, Section, study_sections
from dashboards.pages.study import render
from studies.analysis import view as views
from studies.analysis.comparison import Comparison, comparison
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import study_record
from tests.repeats import thorough_study


def shown(page: str) -> list[str]:
    return re.findall(r'data-section="([^"]+)"', page)


def test_report_has_all_sections_of_the_study_page_in_order() -> None:
    page = render(StudyView(thorough_study()))
    ids = [section.id for section in study_sections()]
    assert shown(page) == [one for one in ids if one not in ("pareto-front", "chart-front")]
    assert len(set(ids)) == len(ids)


def test_section_without_anything_to_show_is_left_out() -> None:
    page = render(StudyView(study_record(5, failing=0)))
    assert "finalists" not in shown(page)
    assert "chart-machine" not in shown(page)


def test_chart_is_added_by_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(view: StudyView) -> Drawing | None:
        return Drawing(f"{len(view.study.trials)} trials", "A note.", {"": drawing.figure([], 100)})

    monkeypatch.setitem(CHARTS, "count", Chart("How many", draw))
    page = render(StudyView(study_record(7)))
    assert shown(page)[-2:] == ["chart-count", "all-trials"]
    assert "<h2>7 trials</h2>" in page
    assert 'data-chart="count"' in page


def test_section_is_added_by_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    def hello(view: StudyView) -> Markup:
        return element("p", f"Hello & welcome to {view.study.name}")

    sections = (*study_sections(), Section("hello", "Greeting", hello, live=False))
    monkeypatch.setitem(PAGES, "study", lambda: sections)
    page = render(StudyView(study_record(1)))
    assert shown(page)[-1] == "hello"
    assert "<p>Hello &amp; welcome to " in page


def test_study_is_compared_once_for_a_whole_page(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[StudyRecord] = []

    def counted(study: StudyRecord) -> Comparison:
        compared.append(study)
        return comparison(study)

    monkeypatch.setattr(views, "comparison", counted)
    study = study_record(10)
    render(StudyView(study))
    assert compared == [study]
