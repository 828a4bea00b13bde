from dataclasses import replace

import numpy as np
import pytest

from dashboards.charts import best_so_far
from dashboards.charts.best_so_far import Level, progress
from dashboards.words.formats import TIMES
from engines.core.results import Evaluation, Failure
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import with_racing

BASE = candidate("fp32", "all", 2, True)
OTHER = candidate("int8", "all", 4, True)


def made(latency_ms: float, error: float = 0.0) -> Evaluation:
    which = OTHER if latency_ms != 3.0 else BASE
    return measured(which, np.random.default_rng(0), latency_ms=latency_ms, error=error, noise=0.0)


def single(latency_ms: float) -> Evaluation:
    which = OTHER if latency_ms != 3.0 else BASE
    return measured(which, np.random.default_rng(0), latency_ms=latency_ms, error=0.0, blocks=1, noise=0.0)


def failure() -> Evaluation:
    return failed(OTHER, *FAILURES[0])


def mixed() -> StudyRecord:
    return study_of(made(3.0), failure(), made(1.0, error=0.5), made(2.0), made(2.5))


def test_every_trial_is_marked_and_failed_ones_have_no_value() -> None:
    marks = progress(StudyView(mixed())).marks
    assert [mark.role for mark in marks] == ["baseline", "failed", "infeasible", "best", "feasible"]
    assert [mark.estimate.value if mark.estimate else None for mark in marks] == [3.0, None, 1.0, 2.0, 2.5]


def test_the_level_falls_with_each_better_feasible_trial() -> None:
    levels = progress(StudyView(mixed())).levels
    assert [level.value for level in levels] == [3.0, 3.0, 3.0, 2.0, 2.0]
    assert isinstance(levels[0], Level)
    assert [level.elapsed_seconds for level in levels] == pytest.approx(
        [mark.elapsed_seconds for mark in progress(StudyView(mixed())).marks]
    )


def test_the_title_says_how_much_was_gained_and_by_which_trial() -> None:
    drawing = best_so_far.draw(StudyView(mixed()))
    assert drawing is not None
    assert drawing.title == f"1.50{TIMES} faster than the baseline, found by trial 3"
    assert list(drawing.views) == ["By trial", "By time"]
    assert "without a value: 1." in drawing.note


@pytest.mark.parametrize(
    ("study", "title"),
    [
        (study_of(made(3.0)), "Only the baseline so far"),
        (study_of(made(3.0), made(4.0)), "Nothing significantly better than the baseline in 2 trials"),
        (study_of(made(3.0, 1.0), made(4.0, 1.0)), "No feasible trial among 2 trials"),
        (study_of(single(3.0), single(1.5)), f"2.00{TIMES} faster (unproven), found by trial 1"),
        (study_of(failure(), made(2.0)), "The best was found by trial 1; the baseline has no value"),
    ],
)
def test_the_title_says_when_nothing_was_gained(study: StudyRecord, title: str) -> None:
    drawing = best_so_far.draw(StudyView(study))
    assert drawing is not None
    assert drawing.title == title


def test_failed_trials_lie_on_their_own_rail_and_the_baseline_is_a_line() -> None:
    drawing = best_so_far.draw(StudyView(mixed()))
    assert drawing is not None
    figure = drawing.views["By trial"]
    rail = next(trace for trace in figure.data if trace.name == "failed")
    assert (list(rail.x), rail.yaxis) == ([1.0], "y2")
    assert [shape.y0 for shape in figure.layout.shapes] == [3.0]


def test_a_failed_trial_lies_on_the_rail_even_with_a_value() -> None:
    late = replace(made(2.0), measurement=None, failure=Failure("measure", "timeout", "too slow"))
    marks = progress(StudyView(study_of(made(3.0), late, objectives=["build_seconds"]))).marks
    assert [mark.estimate is None for mark in marks] == [False, True]


def test_long_searches_use_longer_time_units() -> None:
    drawing = best_so_far.draw(StudyView(study_record(60)))
    assert drawing is not None
    assert drawing.views["By time"].layout.xaxis.title.text == "time (minutes)"


def test_values_far_apart_get_a_logarithmic_axis() -> None:
    drawing = best_so_far.draw(StudyView(study_of(made(3.0), made(60.0))))
    assert drawing is not None
    assert drawing.views["By trial"].layout.yaxis.type == "log"


def test_noisy_trial_does_not_hide_others() -> None:
    noisy = measured(OTHER, np.random.default_rng(0), latency_ms=2.5, error=0.0, blocks=2, noise=0.0)
    assert noisy.measurement is not None
    blocks = [
        replace(block, latency_ms=block.latency_ms * factor)
        for block, factor in zip(noisy.measurement.blocks, (0.5, 1.5), strict=True)
    ]
    noisy = replace(noisy, measurement=replace(noisy.measurement, blocks=tuple(blocks)))
    study = study_of(made(3.0), made(2.0), noisy)
    estimate = progress(StudyView(study)).marks[2].estimate
    assert estimate is not None
    assert estimate.high is not None
    assert estimate.high > 10
    drawing = best_so_far.draw(StudyView(study))
    assert drawing is not None
    low, high = drawing.views["By trial"].layout.yaxis.range
    assert 0 <= low < 2.0
    assert 3.0 < high < 4.0
    trace = next(trace for trace in drawing.views["By trial"].data if trace.name == "feasible")
    assert max(np.add(trace.y, trace.error_y.array)) == pytest.approx(high)


def test_trials_stopped_early_are_marked_and_never_the_best() -> None:
    study = with_racing(study_record(30, failing=0))
    drawing = best_so_far.draw(StudyView(study))
    assert drawing is not None
    assert "Pruned ones were stopped early" in drawing.note
    pruned = [mark.number for mark in progress(StudyView(study)).marks if mark.role == "pruned"]
    trace = next(trace for trace in drawing.views["By trial"].data if trace.name == "pruned")
    assert list(trace.x) == pruned


def test_a_study_without_trials_has_no_chart() -> None:
    assert best_so_far.draw(StudyView(study_record(0))) is None
