from dataclasses import replace

from dashboards.charts import machine
from dashboards.charts.machine import marks
from dashboards.words.telemetry import Range
from engines.core.results import Measurement
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import study_record
from tests.repeats import THROTTLED, with_measurement, with_telemetry


def steady(study: StudyRecord) -> StudyRecord:
    """Every block of every trial as its first."""

    def change(measurement: Measurement) -> Measurement:
        return replace(measurement, blocks=measurement.blocks[:1] * 6)

    trials = [with_measurement(study, trial, change) for trial in study.trials if trial.measurement]
    return replace(study, trials=tuple(trials))


def test_every_trial_with_telemetry_has_the_range_of_its_blocks() -> None:
    study = with_telemetry(study_record(6, failing=0))
    found = marks(StudyView(study), "clock_mhz")
    assert [mark.number for mark in found] == list(range(6))
    assert found[0].range == Range(1497.5, 1495.0, 1500.0)
    assert [mark.number for mark in found if mark.disturbed] == [1]
    assert found[1].disturbed == THROTTLED
    assert found[1].range.low == 1200.0


def test_reused_measurements_are_not_drawn() -> None:
    study = with_telemetry(study_record(3, failing=0))
    reused = replace(study.trials[2], reused=True)
    study = replace(study, trials=(*study.trials[:2], reused))
    assert [mark.number for mark in marks(StudyView(study), "clock_mhz")] == [0, 1]


def test_there_is_a_view_for_each_state_and_disturbed_trials_are_ringed() -> None:
    drawing = machine.draw(StudyView(with_telemetry(study_record(30))))
    assert drawing is not None
    assert list(drawing.views) == ["Clock", "Power", "Temperature"]
    assert drawing.title == "The machine was disturbed in trial 1"
    rings = drawing.views["Clock"].data[-1]
    assert (rings.name, list(rings.x)) == ("disturbed", [1])


def test_steady_machine_is_reported() -> None:
    drawing = machine.draw(StudyView(steady(with_telemetry(study_record(3, failing=0)))))
    assert drawing is not None
    assert drawing.title == "The clock stood at 1,500 MHz in all trials"


def test_without_telemetry_there_is_no_chart() -> None:
    assert machine.draw(StudyView(study_record(10))) is None
    assert machine.draw(StudyView(study_record(0))) is None
