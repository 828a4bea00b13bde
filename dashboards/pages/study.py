"""The report of a study: all sections of its page in one HTML file that opens offline."""

from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from dashboards.html.document import document, element, write_document
from dashboards.pages.registry import PAGES, Section
from dashboards.words import formats
from studies.analysis.view import StudyView


def render(view: StudyView) -> str:
    """Return the page."""
    study = view.study
    model = study.spec.workload.model.file.name
    subtitle = f"{model} on {study.spec.machine.processor}, {formats.moment(study.created_at)}"
    parts = [
        element("div", *shown, class_=group) if group else Markup("\n").join(shown)
        for group, sections in groupby(PAGES["study"](), key=lambda section: section.group)
        if (shown := [part for section in sections if (part := _part(section, view)) is not None])
    ]
    return document(f"{study.name}: trt-tuner", study.name, subtitle, Markup("\n").join(parts))


def write(view: StudyView, path: Path) -> None:
    """Write the page as a file; raises UserError where it cannot be, and leaves an older file as it was."""
    write_document(render(view), path, "report")


def _part(section: Section, view: StudyView) -> Markup | None:
    """Return the section in an element with its id; None if it has nothing to show."""
    made = section.render(view)
    if made is None:
        return None
    return element(
        "div", made, class_="section", role="group", aria_label=section.title, data_section=section.id
    )
