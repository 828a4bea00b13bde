import base64
import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from dashboards.charts.registry import CHARTS
from dashboards.pages.study import render, write
from engines.core.errors import UserError
from engines.core.results import Accuracy, Evaluation, OutputError
from engines.statistics.estimates import Estimate
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import FAILURES, awkward_study, candidate, failed, measured, study_of, study_record
from tests.repeats import close_study, thorough_study

MEASURED_AGAIN = ("finals", "baseline-again", "machine")
BASE = candidate("fp32", "all", 2, True)


def without_library(page: str) -> str:
    """The page less the packed plotly.js, in which any short word may occur by chance."""
    return re.sub(r'(<script type="text/plain" id="plotly">)[^<]*', r"\1", page)


def charts_of(page: str) -> dict[str, dict[str, object]]:
    """The figures that the page's script draws, by chart and view."""
    charts = re.findall(r'data-chart="([^"]+)".*?class="views">([^<]*)</script>', page, flags=re.DOTALL)
    return {name: json.loads(figures) for name, figures in charts}


def spoiled() -> StudyRecord:
    """A study with values that are not finite wherever a number may be."""
    random = np.random.default_rng(0)
    nowhere = Accuracy((OutputError("y", float("nan"), float("inf")),), 1)
    study = study_of(
        measured(BASE, random),
        replace(measured(candidate("int8", "all", 2, True), random), accuracy=nowhere),
        constraints=["memory_bytes<=1", "error<=0.01"],
    )
    odd = {"latency_ms": Estimate(2.0, float("nan"), float("inf")), "error": Estimate(float("nan"))}
    bad = replace(study.trials[1], metrics=odd, violations={"memory_bytes<=1": float("inf")})
    return replace(study, trials=(study.trials[0], bad))


STUDIES: dict[str, Callable[[], StudyRecord]] = {
    "usual": lambda: study_record(30),
    "not begun": lambda: study_record(0),
    "only the baseline": lambda: study_record(1),
    "failed baseline": lambda: study_of(failed(BASE, *FAILURES[0]), *failed_and_good()),
    "only failures": lambda: study_of(*(failed(BASE, *failure) for failure in FAILURES)),
    "nothing feasible": lambda: study_record(20, constraints=["latency_ms<=0.01"]),
    "two objectives": lambda: study_record(30, objectives=["latency_ms", "engine_bytes"]),
    "error as objective": lambda: study_record(30, objectives=["error", "throughput"]),
    "awkward": awkward_study,
    "spoiled": spoiled,
    "measured again": lambda: thorough_study(drift=0.05, luck=1.1),
    "with a deadline": lambda: thorough_study(constraints=["p99_bound_ms<=3"]),
    "close": close_study,
    "baseline won": lambda: close_study(factors=(3.0, 3.0, 3.0)),
}


def failed_and_good() -> list[Evaluation]:
    return [measured(candidate("int8", "all", 2, True), np.random.default_rng(0))]


@pytest.mark.parametrize("name", STUDIES)
def test_page_of_every_study_has_no_invalid_numbers(name: str) -> None:
    page = without_library(render(StudyView(STUDIES[name]())))
    body = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    words = re.findall(r"\b(?:nan|inf|infinity|undefined)\b", body, flags=re.IGNORECASE)
    assert words == []
    assert "None" not in body


def test_names_are_escaped() -> None:
    page = without_library(render(StudyView(awkward_study())))
    assert len(re.findall("<script", page)) == 3 + len(charts_of(page))
    assert "alert('x')</script>" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


def test_the_page_holds_the_library_and_allows_only_its_own_scripts() -> None:
    page = render(StudyView(study_record(2)))
    packed = re.search(r'<script type="text/plain" id="plotly">([^<]*)</script>', page)
    assert packed is not None
    assert gzip.decompress(base64.b64decode(packed[1])).decode() == get_plotlyjs()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy[1].split(";")[1]


def test_figures_are_embedded_for_every_chart_that_has_something_to_show() -> None:
    page = render(StudyView(study_record(30)))
    charts = charts_of(page)
    usual = [name for name in CHARTS if name not in ("front", *MEASURED_AGAIN)]
    assert list(charts) == usual
    assert list(charts["best-so-far"]) == ["By trial", "By time"]


def test_repeats_have_their_own_charts() -> None:
    assert list(charts_of(render(StudyView(thorough_study())))) == [
        name for name in CHARTS if name != "front"
    ]


def test_the_same_study_gives_the_same_page() -> None:
    assert render(StudyView(study_record(10))) == render(StudyView(study_record(10)))


def test_five_hundred_trials_are_rendered_fast_and_small() -> None:
    render(StudyView(study_record(1)))
    study = study_record(500, samples=1000)
    started = time.process_time()
    page = render(StudyView(study))
    assert time.process_time() - started < 3
    assert len(page) < 2_000_000 + 500 * 2500


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "page.html"
    path.parent.mkdir()
    path.write_text("older")
    write(StudyView(study_record(2)), path)
    assert path.read_text(encoding="utf-8") == render(StudyView(study_record(2)))
    assert [found.name for found in path.parent.iterdir()] == ["page.html"]


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    write(StudyView(study_record(1)), tmp_path / "a" / "b" / "page.html")
    assert (tmp_path / "a" / "b" / "page.html").is_file()


def test_unwritable_path_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the report to .*page\.html"):
        write(StudyView(study_record(1)), tmp_path / "file" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        write(StudyView(study_record(1)), tmp_path / "folder")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_reports_need_neither_optuna_nor_a_database_nor_a_backend() -> None:
    code = "import sys, dashboards.pages.study; print('\\n'.join(sys.modules))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = made.stdout.split()
    heavy = {"optuna", "sqlalchemy", "onnx", "onnxruntime"}
    assert not heavy & {name.split(".")[0] for name in loaded}
    assert not [name for name in loaded if name.startswith("engines.backends.registry")]
