"""What a search begins with, and which executor it is given."""

from pathlib import Path

import pytest

from engines.executors.registry import EXECUTORS
from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.run.limits import Limits, Stop
from studies.run.opening import opened
from tests.executors import HERE, InProcessExecutor
from tests.studies.loops import Notes
from tests.studies.planned import request_in


def test_an_executor_is_added_by_one_entry_in_the_table(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXECUTORS, "here", InProcessExecutor)
    notes = Notes()
    with opened(
        request_in(here), here / "w", str(here / "studies.db"), TRIALS_ALONE, notes, "here"
    ) as opening:
        opening.compute_reference()
        opening.create_study("net")
        assert opening.loop("net", seed=0).run(Limits(4), Stop()).ending == "complete"
        study = opening.storage.read_study("net")
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    assert {trial.device for trial in study.trials} == {HERE.name}
    assert not list((here / "w").rglob("worker-*.log"))
    assert notes.doing == [
        "reading the model",
        "starting the backend fake",
        "computing the reference outputs",
    ]


def test_opening_drops_measurements_that_do_not_apply_to_the_objectives(here: Path) -> None:
    request = request_in(here, objectives=["engine_bytes"])
    with opened(request, here / "w", str(here / "studies.db"), MeasurementPlan(), Notes()) as opening:
        assert (opening.measurement_plan.self_test_runs, opening.measurement_plan.finalists) == (0, 0)
