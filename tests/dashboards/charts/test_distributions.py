import numpy as np

from dashboards.charts import distributions
from dashboards.charts.distributions import distributions as rows_of
from dashboards.html.palette import light
from engines.core.results import Evaluation
from studies.analysis.comparison import best, spread
from studies.analysis.view import StudyView
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import with_racing


def made(latency_ms: float, precision: str = "int8", error: float = 0.0) -> Evaluation:
    random = np.random.default_rng(0)
    return measured(candidate(precision, "all", 4, True), random, latency_ms=latency_ms, error=error)


def test_trials_are_ordered_by_their_median_and_marked() -> None:
    study = study_of(
        made(3.0, "fp32"), made(1.0, error=0.5), failed(made(1.0).candidate, *FAILURES[0]), made(2.0)
    )
    data = rows_of(StudyView(study))
    assert [(row.number, row.role) for row in data.rows] == [(1, "infeasible"), (3, "best"), (0, "baseline")]
    assert data.rows[0].spread == spread(study.trials[1])


def test_of_many_trials_the_slower_are_left_out_and_counted() -> None:
    study = study_record(200)
    data = rows_of(StudyView(study), most=10)
    measured_trials = sum(trial.measurement is not None for trial in study.trials)
    assert len(data.rows) == 10
    assert data.left_out == measured_trials - 10
    drawing = distributions.draw(StudyView(study))
    assert drawing is not None
    assert "slower trials left out" in drawing.note


def test_the_baseline_and_the_best_stay_however_slow() -> None:
    study = study_of(made(9.0, "fp32"), *(made(1.0 + step / 10, error=0.5) for step in range(8)), made(5.0))
    assert [row.number for row in rows_of(StudyView(study), most=3).rows] == [1, 9, 0]


def test_trials_stopped_early_are_pale_and_said_to_be() -> None:
    drawing = distributions.draw(StudyView(with_racing(study_record(20, failing=0))))
    assert drawing is not None
    boxes = {trace.name: trace for trace in drawing.views[""].data if trace.type == "box"}
    assert boxes["pruned"].line.color == light("pruned")
    assert boxes["pruned"].fillcolor == light("surface")
    assert "Pale: stopped early" in drawing.note


def test_the_figure_holds_quantiles_not_samples() -> None:
    study = study_record(40, samples=5000)
    drawing = distributions.draw(StudyView(study))
    assert drawing is not None
    figure = drawing.views[""]
    boxes = [trace for trace in figure.data if trace.type == "box"]
    assert sum(len(trace.median) for trace in boxes) == 30
    assert len(figure.to_json()) < 30_000
    found = best(study)
    assert found is not None
    box = next(trace for trace in boxes if trace.name == "best")
    points = spread(found)
    assert points is not None
    assert (box.q1[0], box.median[0], box.q3[0]) == (
        points.first_quartile,
        points.median,
        points.third_quartile,
    )
    assert (box.lowerfence[0], box.upperfence[0]) == (points.low, points.high)


def test_the_title_says_how_the_best_and_the_baseline_lie() -> None:
    apart = distributions.draw(StudyView(study_of(made(3.0, "fp32"), made(1.0))))
    near = distributions.draw(StudyView(study_of(made(3.0, "fp32"), made(2.99))))
    alone = distributions.draw(StudyView(study_of(made(3.0, "fp32", error=1.0))))
    assert apart is not None
    assert near is not None
    assert alone is not None
    assert apart.title.endswith("its 99th percentile is below the baseline's 1st")
    assert near.title.startswith("Median 2.9")
    assert "overlap" not in near.title
    assert alone.title == "Latency of 1 measured trial"


def test_without_a_measurement_there_is_no_chart() -> None:
    assert distributions.draw(StudyView(study_of(failed(made(1.0).candidate, *FAILURES[0])))) is None
