"""Trials that run beside each other: asked for in order, finished in any."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted
from engines.core.values import Settings, Workload
from engines.machine.device import Device
from studies.belief.devices import beliefs
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import TrialRecord
from studies.run.limits import Limits, Stop
from studies.run.loop import StudyLoop
from studies.storage.optuna_mirror import number_of
from studies.storage.storage import Storage
from tests.executors import HERE
from tests.studies.loops import Here, Notes, loop_of, optuna_trials, records_of, run, spec_of

THREE = tuple(replace(HERE, uuid=f"device-{number}", index=number) for number in range(3))
NAMES = [device.name for device in THREE]


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


def beside(
    storage: Storage, workload: Workload, workspace: Workspace, devices: Sequence[Device] = THREE
) -> StudyLoop:
    """A search on several devices, on which jobs are finished in a random order."""
    choose = random.Random(1).choice
    return loop_of(storage, spec_of(workload), Here(workload, workspace, devices=devices, choose=choose))


def test_trials_are_numbered_as_they_are_asked_for_and_stored_as_they_finish(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = beside(storage, workload, workspace)
    assert run(loop, 12) == "complete"
    finished = [record.number for record in records_of(loop)]
    assert sorted(finished) == list(range(12))
    assert finished != sorted(finished)
    assert isinstance(loop.observer, Notes)
    assert [number for number, _ in loop.observer.started_with] == list(range(12))
    study = storage.read_study("study")
    assert [trial.number for trial in study.trials] == list(range(12))
    for record in records_of(loop):
        stored = study.trial(record.number)
        assert stored is not None
        assert (stored.candidate, stored.device, stored.log) == (record.candidate, record.device, record.log)
    assert len({trial.candidate for trial in study.trials}) == 12


def test_nothing_is_asked_for_before_the_baseline_is_known(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = beside(storage, workload, workspace)
    run(loop, 6)
    assert isinstance(loop.executor, Here)
    assert loop.executor.asked[0] == loop.spec.baseline
    assert loop.executor.most_at_once == 3
    assert records_of(loop)[0].number == 0


def test_optuna_knows_each_trial_by_our_number(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = beside(storage, workload, workspace)
    run(loop, 9)
    told = {number_of(trial): trial.value for trial in optuna_trials(storage)}
    assert told == {record.number: record.metrics["latency_ms"].value for record in records_of(loop)}


def test_resume_after_a_kill_leaves_gaps_and_uses_new_numbers(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def kill(record: TrialRecord) -> None:
        if len(storage.finished("study")) == 5:
            raise Interrupted("killed")

    loop = beside(storage, workload, workspace)
    assert isinstance(loop.executor, Here)
    with pytest.raises(Interrupted):
        run(replace(loop, observer=Notes(kill)), 12)
    assert loop.executor.free() == 3
    left = [number for number, _, _ in storage.finished("study")]
    missing = sorted(set(range(max(left))) - set(left))
    assert len(left) == 5
    assert missing
    assert run(loop, 12) == "complete"
    numbers = [trial.number for trial in storage.read_study("study").trials]
    assert len(numbers) == len(set(numbers)) == 12
    assert not set(missing) & set(numbers)
    assert sorted(map(number_of, optuna_trials(storage))) == numbers
    assert run(loop, 12) == "complete"


def test_stop_waits_for_all_trials_under_way(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    stop = Stop()

    def ask(record: TrialRecord) -> None:
        stop.requested = record.number > 2

    loop = replace(beside(storage, workload, workspace), observer=Notes(ask))
    assert loop.run(Limits(50), stop).ending == "interrupted"
    assert isinstance(loop.observer, Notes)
    assert sorted(record.number for record in loop.observer.records) == [
        number for number, _ in loop.observer.started_with
    ]


def test_every_device_measures_the_baseline_before_any_trial(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = beside(storage, workload, workspace)
    run(replace(loop, measurement_plan=MeasurementPlan(self_test_runs=3, anchor_every=2, racing=False)), 14)
    study = storage.read_study("study")
    (home,) = {study.trials[0].device}
    found = beliefs(study)
    assert found.home == home
    assert set(found.devices) == set(NAMES)
    for name in NAMES:
        tests = [one for one in study.repeats if one.device == name and one.role == "self-test"]
        # on the others one more stands for trial 0
        assert len(tests) == (3 if name == home else 4)
        assert found.of(name).noise is not None
        begun = [trial.started_at for trial in study.trials[1:] if trial.device == name]
        assert begun
        assert max(one.started_at for one in tests) < min(begun)
        assert any(one.device == name and one.role == "anchor" for one in study.repeats)


def test_without_a_self_test_other_devices_still_have_a_baseline(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = beside(storage, workload, workspace)
    run(loop, 6)
    study = storage.read_study("study")
    assert [one.role for one in study.repeats] == ["self-test"] * 2
    assert {one.device for one in study.repeats} == set(NAMES) - {study.trials[0].device}


def test_shared_measurement_names_a_trial_that_finished_earlier(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "max_aux_streams": ["0"], "cuda_graph": ["false"]}
    options = Settings(inert="builder_optimization_level")
    executor = Here(workload, workspace, options=options, devices=THREE, choose=lambda jobs: jobs[-1])
    loop = loop_of(storage, spec_of(workload, fixed), executor)
    run(loop, 99)
    sharing = [record for record in records_of(loop) if record.same_as is not None]
    assert sharing
    finished = [record.number for record in records_of(loop)]
    assert all(finished.index(one.same_as or 0) < finished.index(one.number) for one in sharing)
    stored = {trial.number: trial.same_as for trial in storage.read_study("study").trials}
    assert stored == {record.number: record.same_as for record in records_of(loop)}
