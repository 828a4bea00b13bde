"""A study as one HTML file that opens offline: everything that it needs is inside.

The summary and the table are plain HTML; only the charts need the script.
"""

import base64
import gzip
import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path, PurePath
from string import Template
from typing import Any, NamedTuple

from plotly.offline import get_plotlyjs

from dashboards.charts.registry import CHARTS, Drawing
from dashboards.html.markup import Html, element, join, sentence
from dashboards.html.palette import css_variables, dark_by_light
from dashboards.pages.summary import summary
from dashboards.pages.trials_table import table
from dashboards.words import formats
from engines.core.errors import UserError
from studies.core.records import StudyRecord


def render(study: StudyRecord) -> str:
    """The page."""
    drawings = {name: drawing for name, draw in CHARTS.items() if (drawing := draw(study)) is not None}
    model = PurePath(study.spec.workload.model.path).name
    subtitle = f"{model} on {study.spec.machine.processor}, {formats.moment(study.created_at)}"
    return Template(_asset("page.html")).substitute(
        policy=_policy(),
        title=join([f"{study.name}: trt-tuner"]),
        name=join([study.name]),
        subtitle=join([subtitle]),
        style=_style(),
        summary=summary(study),
        charts=join(_card(name, drawing) for name, drawing in drawings.items()),
        table=table(study),
        figures=_figures(drawings),
        script=_asset("page.js"),
        plotly=_plotly().packed,
    )


def write(study: StudyRecord, path: Path) -> None:
    """The page as a file; raises UserError where it cannot be written, and leaves an older file as it was."""
    text = render(study)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"cannot write the report to {path}: {reason}", "Name another place for it."
        ) from error


def _card(name: str, drawing: Drawing) -> Html:
    height = max(figure.layout.height for figure in drawing.views.values())
    return element(
        "figure",
        element(
            "figcaption",
            element("h2", sentence(drawing.title)),
            element("p", sentence(drawing.note), class_="hint"),
        ),
        _tabs(list(drawing.views)),
        element(
            "div",
            element("p", "The chart is drawn by the page's script.", class_="waiting"),
            class_="plot",
            data_chart=name,
            role="img",
            aria_label=drawing.title,
            style=f"min-height:{height}px",
        ),
        class_="card",
        id=name,
    )


def _tabs(labels: list[str]) -> Html:
    """One button a view; nothing where there is only one."""
    if len(labels) < 2:
        return Html("")
    buttons = [
        element("button", label, type="button", data_view=label, aria_pressed=str(label == labels[0]).lower())
        for label in labels
    ]
    return element("div", *buttons, class_="tabs", role="group", aria_label="Show")


def _figures(drawings: dict[str, Drawing]) -> str:
    views = {
        name: {label: json.loads(figure.to_json()) for label, figure in drawing.views.items()}
        for name, drawing in drawings.items()
    }
    return _script_json({"charts": views, "dark": dark_by_light()})


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class _Library(NamedTuple):
    """plotly.js as it is embedded: compressed, and the digest by which the page lets it run."""

    packed: str
    digest: str


@cache
def _plotly() -> _Library:
    source = get_plotlyjs()
    packed = base64.b64encode(gzip.compress(source.encode(), 9, mtime=0)).decode()
    return _Library(packed, _digest(source))


def _policy() -> str:
    """Which scripts may run: these two and no other; nothing is fetched, and nothing sent."""
    scripts = f"script-src '{_plotly().digest}' '{_digest(_asset('page.js'))}'"
    looks = "style-src 'unsafe-inline'; img-src data: blob:"
    return f"default-src 'none'; {scripts}; {looks}; form-action 'none'; base-uri 'none'"


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _style() -> str:
    dark = css_variables("dark")
    return (
        f":root{{{css_variables('light')}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n{_asset('page.css')}"
    )


@cache
def _asset(name: str) -> str:
    return resources.files("dashboards").joinpath("assets", name).read_text(encoding="utf-8")
