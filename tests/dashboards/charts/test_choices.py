import itertools

import numpy as np
import pytest

from dashboards.charts import choices
from engines.core.results import Evaluation
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import SPACE, candidate, measured, study_of, study_record


def made(precision: str, optimization: str, latency_ms: float, threads: int = 2) -> Evaluation:
    one = candidate(precision, optimization, threads, True)
    return measured(one, np.random.default_rng(0), latency_ms=latency_ms, error=0.0)


def noise_only() -> StudyRecord:
    random = np.random.default_rng(4)
    points = itertools.product(SPACE[0].choices, SPACE[1].choices)
    return study_of(*(made(str(a), str(b), float(random.lognormal(1, 0.1))) for a, b in points))


def test_each_dimension_starts_with_its_reference_at_one() -> None:
    data = choices.choices(StudyView(study_record(60)))
    starts = {row.dimension: row for row in reversed(data.rows)}
    assert all(row.reference and row.ratio.value == 1 for row in starts.values())
    assert starts["precision"].value == "fp32"
    int8 = next(row for row in data.rows if row.value == "int8")
    assert int8.ratio.value == pytest.approx(0.55, rel=0.05)
    assert data.left_out == 0


def test_the_title_names_the_choice_that_surely_gains_most() -> None:
    drawing = choices.draw(StudyView(study_record(60)))
    assert drawing is not None
    assert drawing.title.startswith("precision = int8 lowers latency_ms by 4")


def test_a_larger_throughput_is_a_gain() -> None:
    drawing = choices.draw(StudyView(study_record(60, objectives=["throughput"])))
    assert drawing is not None
    assert drawing.title.startswith("precision = int8 raises throughput by ")
    assert "further right is better" in drawing.note


def test_noise_has_no_clear_choice() -> None:
    drawing = choices.draw(StudyView(noise_only()))
    assert drawing is not None
    assert drawing.title == "No single choice is clearly better than the baseline's"


def test_choices_beyond_the_cap_are_counted_by_whole_dimensions() -> None:
    data = choices.choices(StudyView(study_record(60)), most=8)
    assert {row.dimension for row in data.rows} == {"precision", "intra_op_threads"}
    assert data.left_out == 5


def test_indistinguishable_choices_are_reported() -> None:
    study = study_of(*(made(p, o, t, t) for p, o in (("fp32", "all"), ("int8", "none")) for t in (2, 4, 8)))
    drawing = choices.draw(StudyView(study))
    assert drawing is not None
    assert "always made together with another" in drawing.note


def test_huge_intervals_do_not_stretch_the_axis() -> None:
    random = np.random.default_rng(2)
    trials = [made("fp32", "all", 2.0), made("int8", "all", 1.0), made("fp32", "none", 3.0)]
    trials += [made("int8", "none", float(random.uniform(1, 4)))]
    drawing = choices.draw(StudyView(study_of(*trials)))
    assert drawing is not None
    low, high = drawing.views[""].layout.xaxis.range
    assert high - low < 2
    ticks = drawing.views[""].layout.xaxis.tickvals
    assert 2 <= len(ticks) <= 6
    assert 1.0 in ticks


def test_one_choice_in_every_dimension_has_no_chart() -> None:
    assert choices.draw(StudyView(study_record(1))) is None
