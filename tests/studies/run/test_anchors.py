"""The baseline measured again, by a search over the fake backend."""

import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import Settings, Workload
from studies.belief.measurement_plan import MeasurementPlan
from studies.belief.noise import noise, noise_of
from studies.run import loop as loop_module
from studies.run.loop import StudyLoop
from studies.storage.storage import Storage, open_storage
from tests.studies.loops import Here, Notes, failed, loop_of, run, spec_of

MEASUREMENT_PLAN = MeasurementPlan(self_test_runs=4, anchor_every=3, racing=False)


@pytest.fixture
def storage(workspace: Workspace) -> Iterator[Storage]:
    with open_storage(str(workspace.database)) as opened:
        yield opened


def loop(
    storage: Storage, workload: Workload, executor: Here, measurement_plan: MeasurementPlan = MEASUREMENT_PLAN
) -> StudyLoop:
    return replace(loop_of(storage, spec_of(workload), executor), measurement_plan=measurement_plan)


def test_baseline_is_measured_again_after_trial_0_and_every_few_trials(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    assert run(loop(storage, workload, executor), 8) == "complete"
    repeats = storage.read_study("study").repeats
    assert [(one.role, one.after) for one in repeats] == [("self-test", 1)] * 4 + [
        ("anchor", 4),
        ("anchor", 7),
    ]
    assert all(one.evaluation.candidate == executor.asked[0] for one in repeats)
    assert len(executor.asked) == 8 + 6


def test_resume_does_not_repeat_the_self_test(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    run(loop(storage, workload, Here(workload, workspace)), 3)
    run(loop(storage, workload, Here(workload, workspace)), 6)
    roles = [one.role for one in storage.read_study("study").repeats]
    assert roles == ["self-test"] * 4 + ["anchor"]


def test_result_of_the_self_test_is_reported_once(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    found = loop(storage, workload, Here(workload, workspace, options=Settings(run_noise=0.01)))
    run(found, 3)
    assert isinstance(found.observer, Notes)
    measured = noise(storage.read_study("study"))
    assert measured is not None
    assert len(found.observer.notes) == 1
    assert f"{measured.detectable:.1%}" in found.observer.notes[0]
    assert found.observer.doing[0] == "self-test: measuring the baseline again, 1 of 4"


def test_a_baseline_that_failed_is_not_measured_again(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, failed("build", "refused"))
    run(loop(storage, workload, executor), 3)
    assert storage.read_study("study").repeats == ()


def test_nothing_is_measured_twice_when_turned_off(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    run(loop(storage, workload, executor, MeasurementPlan(self_test_runs=0, anchor_every=0)), 6)
    assert len(executor.asked) == 6
    assert executor.bars == [None] * 6


def test_clearly_worse_trials_are_pruned_and_not_reused_by_other_studies(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    racing = replace(MEASUREMENT_PLAN, racing=True)
    executor = Here(workload, workspace)
    run(loop(storage, workload, executor, racing), 30)
    trials = storage.read_study("study").trials
    pruned = [trial for trial in trials if trial.measurement is not None and trial.measurement.pruned]
    whole = [trial for trial in trials if trial.measurement is not None and not trial.measurement.pruned]
    assert len(pruned) > 5
    slowest = max(trial.metrics["latency_ms"].value for trial in whole if trial.state == "feasible")
    best = min(trial.metrics["latency_ms"].value for trial in whole if trial.state == "feasible")
    assert all(trial.metrics["latency_ms"].value > best for trial in pruned)
    assert slowest >= best
    keys = {number: key for number, _, key in storage.finished("study")}
    assert all(keys[trial.number].endswith("-pruned") for trial in pruned)
    assert not any(keys[trial.number].endswith("-pruned") for trial in whole)


def test_estimated_noise_matches_the_simulated_noise(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, options=Settings(run_noise=0.02, noise=0.0001))
    run(loop(storage, workload, executor, replace(MEASUREMENT_PLAN, self_test_runs=60)), 2)
    found = noise(storage.read_study("study"))
    assert found is not None
    assert found.runs == 61
    assert found.spread == pytest.approx(0.02, rel=0.3)
    assert found.between == pytest.approx(found.spread, rel=0.1)


def test_two_runs_give_no_noise() -> None:
    assert noise_of([]) is None


def test_the_self_test_ends_with_the_time(
    storage: Storage, workload: Workload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here(workload, workspace)
    # a clock that each evaluation moves on by a second
    clock = SimpleNamespace(monotonic=lambda: float(len(executor.asked)), perf_counter=time.perf_counter)
    monkeypatch.setattr(loop_module, "time", clock)
    assert run(loop(storage, workload, executor), 50, seconds=2.5) == "timeout"
    study = storage.read_study("study")
    assert (len(study.trials), len(study.repeats)) == (1, 2)
