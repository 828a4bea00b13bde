import math
from dataclasses import replace

import numpy as np
import pytest

from dashboards.charts import planes
from dashboards.charts.planes import Plane, note, plane
from engines.core.results import Artifact, Evaluation, Failure
from studies.analysis.view import StudyView
from studies.core.records import Constraint, StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of


def made(latency_ms: float, error: float = 0.0, size: int = 1000, precision: str = "int8") -> Evaluation:
    random = np.random.default_rng(0)
    one = measured(candidate(precision, "all", 4, True), random, latency_ms=latency_ms, error=error)
    return replace(one, engine=Artifact("e" * 32, size, 1.0, False))


def accuracy(study: StudyRecord) -> Plane:
    found = plane(StudyView(study), "error", "latency_ms")
    assert found is not None
    return found


def mixed(*constraints: str) -> StudyRecord:
    failure = failed(made(1.0).candidate, *FAILURES[0])
    return study_of(
        made(3.0, 0.0, precision="fp32"), made(2.0, 0.001), failure, made(1.0, 0.5), constraints=constraints
    )


def test_trials_that_lack_a_metric_are_named_not_shown() -> None:
    data = accuracy(mixed())
    assert [(point.number, point.role) for point in data.points] == [
        (0, "baseline"),
        (1, "best"),
        (3, "infeasible"),
    ]
    assert data.absent == (2,)
    assert "trials 2." in note(data)


def test_a_failed_trial_is_not_shown_even_with_both_metrics() -> None:
    late = replace(made(2.0), measurement=None, failure=Failure("measure", "timeout", "too slow"))
    study = study_of(made(3.0, precision="fp32"), late)
    data = plane(StudyView(study), "error", "engine_bytes")
    assert data is not None
    assert data.absent == (1,)


def test_an_error_of_zero_is_put_a_decade_below_the_smallest() -> None:
    data = accuracy(mixed())
    assert data.x.logarithmic
    assert data.x.floor == pytest.approx(1e-4)
    assert data.x.low < data.x.placed(0.0) == data.x.floor
    axis = planes.figure(data).layout.xaxis
    assert (axis.tickvals[0], axis.ticktext[0]) == (data.x.floor, "0")


def test_errors_without_a_zero_need_no_floor() -> None:
    data = accuracy(study_of(made(3.0, 0.002, precision="fp32"), made(2.0, 0.001)))
    assert data.x.floor is None
    assert "0" not in planes.figure(data).layout.xaxis.ticktext


def test_the_shaded_region_is_where_all_limits_are_kept() -> None:
    data = accuracy(mixed("error<=0.01", "latency_ms<=2.5"))
    shapes = planes.figure(data).layout.shapes
    assert (shapes[0].type, shapes[0].x0, shapes[0].x1) == ("rect", data.x.low, 0.01)
    assert (shapes[0].y0, shapes[0].y1) == (data.y.low, 2.5)
    assert [shape.type for shape in shapes[1:]] == ["line", "line"]


def test_limits_that_exclude_each_other_shade_nothing() -> None:
    study = mixed("error<=0.01")
    # a study of before such limits were refused
    both = (*study.spec.constraints, Constraint("error", ">=", 0.02))
    data = accuracy(replace(study, spec=replace(study.spec, constraints=both)))
    assert planes.figure(data).layout.shapes == ()


def test_a_limit_far_beyond_all_values_does_not_stretch_the_axis() -> None:
    data = accuracy(mixed("latency_ms<=1000"))
    assert data.y.high < 5
    assert data.y.visible == ()
    assert data.y.kept == (data.y.low, data.y.high)


def test_axes_hold_every_point() -> None:
    data = accuracy(mixed())
    for point in data.points:
        assert data.x.low < data.x.placed(point.x) < data.x.high
        assert data.y.low < point.y < data.y.high
    assert math.isfinite(planes.figure(data).layout.xaxis.range[0])


def test_the_front_is_drawn_only_where_both_metrics_are_objectives() -> None:
    trials = [made(3.0, size=100, precision="fp32"), made(2.0, size=200), made(2.5, size=300)]
    study = study_of(*trials, objectives=["latency_ms", "engine_bytes"])
    data = plane(StudyView(study), "engine_bytes", "latency_ms")
    assert data is not None
    assert [x for x, _ in data.front] == [100, 200]
    assert accuracy(study).front == ()


def test_no_plane_without_a_trial_with_both_metrics() -> None:
    assert (
        plane(StudyView(study_of(failed(made(1.0).candidate, *FAILURES[0]))), "error", "latency_ms") is None
    )
