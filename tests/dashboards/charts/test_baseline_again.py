import numpy as np
import pytest

from dashboards.charts import baseline_again
from dashboards.charts.baseline_again import KINDS, line, runs
from studies.analysis.view import StudyView
from studies.belief.noise import drift
from tests.records import study_record
from tests.repeats import close_study, thorough_study, with_baseline_again


def test_every_measurement_of_the_baseline_stands_in_the_order_of_time() -> None:
    found = runs(thorough_study(trials=24))
    roles = [run.role for run in found]
    assert roles == [None, *["self-test"] * 5, *["anchor"] * 4, *["final"] * 5]
    assert [run.at for run in found] == sorted(run.at for run in found)
    assert set(roles) == set(KINDS)


def test_the_line_is_the_fitted_drift() -> None:
    study = thorough_study(drift=0.1)
    found = drift(study)
    assert found is not None
    first, last = line(found, [found.runs[0].at, found.runs[-1].at])
    assert last / first == pytest.approx(found.change.value)
    values = [run.value.value for run in found.runs]
    assert first == pytest.approx(np.mean(values[:6]), rel=0.02)


@pytest.mark.parametrize(
    ("drifting", "title", "dash"),
    [
        (0.1, "The baseline again: it became ", "dash"),
        (0.0, "The baseline again: no significant drift", "dot"),
    ],
)
def test_the_title_says_whether_it_drifted_and_the_line_is_drawn(
    drifting: float, title: str, dash: str
) -> None:
    drawing = baseline_again.draw(StudyView(thorough_study(drift=drifting)))
    assert drawing is not None
    assert drawing.title.startswith(title)
    assert "95 % interval" in drawing.note
    assert "This machine can tell engines apart" in drawing.note
    figure = drawing.views[""]
    assert [trace.name for trace in figure.data][:4] == [kind.name for kind in KINDS.values()]
    assert figure.data[-1].line.dash == dash
    assert len({trace.marker.symbol for trace in figure.data[:4]}) == 4


def test_without_runs_between_trials_there_is_no_line() -> None:
    drawing = baseline_again.draw(StudyView(close_study()))
    assert drawing is not None
    assert drawing.title == "The baseline again: measured 11 times"
    assert all(trace.mode == "markers" for trace in drawing.views[""].data)


def test_a_baseline_that_was_measured_once_has_no_chart() -> None:
    assert baseline_again.draw(StudyView(study_record(10))) is None
    assert baseline_again.draw(StudyView(study_record(0))) is None


def test_an_error_has_no_interval_and_is_drawn_all_the_same() -> None:
    random = np.random.default_rng(0)
    study = with_baseline_again(study_record(12, failing=0, objectives=["error"]), random)
    assert baseline_again.draw(StudyView(study)) is not None
