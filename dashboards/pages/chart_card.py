"""A chart on a page: its title, how to read it, a button for each view, and the figures for the script."""

import json

from markupsafe import Markup

from dashboards.charts.drawing import Drawing
from dashboards.html.document import element, script_json, sentence


def chart_card(name: str, drawing: Drawing) -> Markup:
    """Return the card; the page's script draws the figures that stand in it."""
    height = max(figure.layout.height for figure in drawing.views.values())
    caption = element(
        "figcaption",
        element("h2", sentence(drawing.title)),
        element("p", sentence(drawing.note), class_="hint"),
    )
    plot = element(
        "div",
        element("p", "The chart is drawn by the page's script.", class_="waiting"),
        class_="plot",
        data_chart=name,
        role="img",
        aria_label=drawing.title,
        style=f"min-height:{height}px",
    )
    views = {label: json.loads(figure.to_json()) for label, figure in drawing.views.items()}
    figures = element("script", script_json(views), type="application/json", class_="views")
    return element("figure", caption, _tabs(list(drawing.views)), plot, figures, class_="card", id=name)


def _tabs(labels: list[str]) -> Markup:
    """Return one button per view; nothing for a single view."""
    if len(labels) < 2:
        return Markup()
    buttons = [
        element("button", label, type="button", data_view=label, aria_pressed=str(label == labels[0]).lower())
        for label in labels
    ]
    return element("div", *buttons, class_="tabs", role="group", aria_label="Show")
