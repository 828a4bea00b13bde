"""The pages of a study, each its sections in the order in which they appear: one entry a section.

A report is all sections of the study's page; a page that follows a running search renders those anew that are
live. Each chart of `dashboards.charts.registry` is a section of the study's page.
"""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from dashboards.charts.registry import CHARTS, Chart
from dashboards.pages import summary
from dashboards.pages.chart_card import chart_card
from dashboards.pages.facts import facts
from dashboards.pages.trials_table import table
from studies.analysis.view import StudyView


@dataclass(frozen=True)
class Section:
    """A part of a page; `render` returns None where the study has nothing to show in it.

    `title` is its name for those who do not see the page, `live` says that trials change it while a search
    runs. Neighbours of one `group` stand in columns beside each other.
    """

    id: str
    title: str
    render: Callable[[StudyView], Markup | None]
    live: bool = True
    group: str = ""


def study_sections() -> tuple[Section, ...]:
    """Return the sections of the study's page."""
    return (
        Section("verdict", "Verdict", summary.verdict_card),
        Section("settings", "Best and baseline", summary.settings_card, group="found"),
        Section("pareto-front", "Pareto front", summary.front_card, group="found"),
        Section("finalists", "Finalists", summary.finals_card, live=False, group="found"),
        Section("failures", "Failed and infeasible", summary.failures_card, group="found"),
        Section("facts", "What was searched", facts, live=False),
        *(_of_chart(name, chart) for name, chart in CHARTS.items()),
        Section("all-trials", "All trials", table),
    )


# a function, since the charts are looked up when a page is made
PAGES: dict[str, Callable[[], tuple[Section, ...]]] = {"study": study_sections}


def _of_chart(name: str, chart: Chart) -> Section:
    def render(view: StudyView) -> Markup | None:
        drawing = chart.draw(view)
        return None if drawing is None else chart_card(name, drawing)

    return Section(f"chart-{name}", chart.title, render, chart.live, group="charts")
