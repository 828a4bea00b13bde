import re
from pathlib import Path

import pytest

from dashboards.charts.sensitivity import Sensitivity
from dashboards.pages import sensitivity
from engines.core.errors import UserError
from engines.core.results import NodeError

NODES = (
    NodeError("/layer[3]/MatMul", "MatMul", float("inf")),
    NodeError("/a<b>&c", "Conv", 0.02),
    NodeError("head", "Gemm", 0.004),
    NodeError("idle", "Relu", 0.0),
)


def _data(most: int = 20) -> Sensitivity:
    return Sensitivity("net.onnx", "int8", NODES, most)


def test_table_has_all_nodes_when_the_chart_has_not() -> None:
    table = sensitivity.render(_data(most=2)).rpartition("<table")[2]
    assert len(re.findall("<tr>", table)) == 1 + len(NODES)


def test_page_fetches_nothing_and_escapes_the_names_of_nodes() -> None:
    page = sensitivity.render(_data())
    assert page.startswith("<!doctype html>")
    assert not re.search(r"<(script|img)[^>]*\b(src|href)=", page)
    assert "default-src 'none'" in page
    assert "<td>/a&lt;b&gt;&amp;c</td>" in page
    assert "/a<b>" not in page


def test_page_is_written_into_new_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "chart.html"
    sensitivity.write(_data(), path)
    assert path.read_text(encoding="utf-8") == sensitivity.render(_data())
    assert [one.name for one in path.parent.iterdir()] == ["chart.html"]


def test_place_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write the chart to"):
        sensitivity.write(_data(), tmp_path / "file" / "chart.html")
