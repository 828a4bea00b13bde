"""How much each node of a model hurts when it is lowered: the chart, and a table of all nodes."""

from pathlib import Path

from markupsafe import Markup

from dashboards.charts.sensitivity import Sensitivity, draw, error_text
from dashboards.html.document import document, element, write_document
from dashboards.pages.chart_card import chart_card
from engines.core.results import NodeError


def render(data: Sensitivity) -> str:
    """Return the page."""
    title = f"{data.model} in {data.precision}: how much each node hurts"
    return document(title, title, "", chart_card("nodes", draw(data)) + _table(data))


def write(data: Sensitivity, path: Path) -> None:
    """Write the page as a file; raises UserError where it cannot be written."""
    write_document(render(data), path, "chart")


def _table(data: Sensitivity) -> Markup:
    head = element("tr", *(element("th", text) for text in ("rank", "node", "operator", "error alone")))
    rows = [
        element("tr", *(element("td", text) for text in _cells(rank, one)))
        for rank, one in enumerate(data.nodes, 1)
    ]
    table = element("table", element("thead", head), element("tbody", *rows), class_="settings")
    heading = element("h2", "All nodes")
    return element("section", heading, element("div", table, class_="scroll tall"), class_="card")


def _cells(rank: int, one: NodeError) -> tuple[str, ...]:
    return str(rank), one.node, one.operator, error_text(one.error)
