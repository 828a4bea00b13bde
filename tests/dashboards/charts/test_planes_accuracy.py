from dataclasses import replace

import numpy as np
import pytest

from dashboards.charts import planes
from engines.core.results import Evaluation
from engines.core.values import TaskMetric
from studies.analysis.view import StudyView
from studies.core.objectives import parse_constraints, parse_objectives
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.workloads import file_at

OWN = TaskMetric("accuracy", "task:accuracy", "maximize", file_at("/here", "ab"))


def made(latency_ms: float, error: float) -> Evaluation:
    random = np.random.default_rng(0)
    return measured(candidate("int8", "all", 4, True), random, latency_ms=latency_ms, error=error)


@pytest.mark.parametrize(
    ("objectives", "constraints", "metrics"),
    [
        ([], [], ("error", "latency_ms")),
        (["throughput"], ["max_abs_error<=1"], ("max_abs_error", "throughput")),
        (["error"], [], ("error", "latency_ms")),
        (["error", "p99_ms"], [], ("error", "p99_ms")),
    ],
)
def test_the_axes_are_the_error_that_counts_and_the_first_other_objective(
    objectives: list[str], constraints: list[str], metrics: tuple[str, str]
) -> None:
    study = study_record(1, objectives=objectives, constraints=constraints)
    assert planes.metrics(study) == metrics


@pytest.mark.parametrize(
    ("objectives", "constraints", "metrics"),
    [
        (["latency_ms", "accuracy"], [], ("accuracy", "latency_ms")),
        (["throughput"], ["error<=0.1", "accuracy>=0.9"], ("accuracy", "throughput")),
        ([], ["cosine>=0.99"], ("cosine", "latency_ms")),
        ([], ["error<=0.1"], ("error", "latency_ms")),
    ],
)
def test_a_measure_of_the_users_own_counts_before_all_others(
    objectives: list[str], constraints: list[str], metrics: tuple[str, str]
) -> None:
    study = study_record(1)
    spec = replace(
        study.spec,
        workload=replace(study.spec.workload, metrics=(OWN,)),
        objectives=parse_objectives(objectives, [OWN]),
        constraints=parse_constraints(constraints, [OWN]),
    )
    assert planes.metrics(replace(study, spec=spec)) == metrics


def test_the_title_says_what_the_best_costs_and_how_many_are_beyond_the_limit() -> None:
    drawing = planes.draw_accuracy(StudyView(study_of(made(3.0, 0.0), made(2.0, 0.004), made(1.0, 0.5))))
    assert drawing is not None
    assert drawing.title == "The best has error 0.00400; 1 of 3 trials beyond error<=0.01"


def test_the_title_says_when_nothing_is_feasible() -> None:
    drawing = planes.draw_accuracy(StudyView(study_of(made(3.0, 0.5))))
    assert drawing is not None
    assert drawing.title == "No feasible trial; 1 of 1 trial beyond error<=0.01"


def test_failed_trials_alone_make_no_chart() -> None:
    assert planes.draw_accuracy(StudyView(study_of(failed(made(1.0, 0.0).candidate, *FAILURES[0])))) is None
