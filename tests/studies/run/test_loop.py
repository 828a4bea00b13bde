from dataclasses import replace

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.fake.machine import latency_ms
from engines.core.errors import Interrupted, UserError
from engines.core.values import Settings, Workload
from studies.core.records import TrialRecord
from studies.core.space import candidate_at, points
from studies.storage.storage import Storage
from tests.studies.loops import Here, Notes, loop_of, optuna_trials, records_of, run, spec_of


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


def test_trial_0_is_the_baseline_and_no_candidate_is_asked_twice(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload), executor)
    assert run(loop, 40) == "complete"
    assert executor.asked[0] == loop.spec.baseline
    assert len(set(executor.asked)) == len(executor.asked) == 40
    stored = storage.read_study("study").trials
    assert [trial.number for trial in stored] == list(range(40))
    assert [trial.candidate for trial in stored] == executor.asked


def test_a_search_for_speed_begins_with_what_vendors_advise(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    assert run(loop_of(storage, spec_of(workload), executor), 2) == "complete"
    settings = executor.asked[1].settings
    advised = [settings[name] for name in ("precision", "profile", "cuda_graph")]
    assert advised == ["fp16", "static", True]
    assert settings["builder_optimization_level"] == 3


def test_observer_gets_each_trial_from_start_to_end(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload), executor)
    run(loop, 3)
    notes = loop.observer
    assert isinstance(notes, Notes)
    assert notes.started_with == list(enumerate(executor.asked))
    assert [record.number for record in notes.records] == [0, 1, 2]
    assert {number for number, _ in notes.stages} == {0, 1, 2}
    assert {"build", "check", "measure"} <= {stage for _, stage in notes.stages}
    stored = storage.read_study("study").trials
    for told, kept in zip(notes.records, stored, strict=True):
        assert (told.state, told.metrics, told.violations) == (kept.state, kept.metrics, kept.violations)
        assert told.log == kept.log == f"evaluation {told.number}\n"
        assert told.seconds == kept.seconds >= sum(told.evaluation.stage_seconds.values())


def test_trial_is_stored_before_optuna_and_the_observer_get_it(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    seen = []

    def look(record: TrialRecord) -> None:
        seen.append((len(storage.finished("study")), len(optuna_trials(storage))))

    loop = replace(loop_of(storage, spec_of(workload), Here(workload, workspace)), observer=Notes(look))
    run(loop, 4)
    assert seen == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert len(optuna_trials(storage)) == 4


def test_resume_adds_trials_missing_from_optuna(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def stop(record: TrialRecord) -> None:
        if record.number == 3:
            raise Interrupted("killed")

    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload), executor)
    with pytest.raises(Interrupted):
        run(replace(loop, observer=Notes(stop)), 10)
    assert (len(storage.finished("study")), len(optuna_trials(storage))) == (4, 3)
    assert run(loop, 10) == "complete"
    assert len(executor.asked) == 10
    values = [trial.metrics["latency_ms"].value for trial in storage.read_study("study").trials]
    assert [trial.value for trial in optuna_trials(storage)] == values


def test_resume_continues_after_the_last_trial_and_repeats_nothing(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload), executor)
    run(loop, 15)
    assert run(loop, 15) == "complete"
    assert len(executor.asked) == 15
    run(loop, 30)
    assert len(set(executor.asked)) == 30
    assert [trial.number for trial in optuna_trials(storage)] == list(range(30))


def test_a_baseline_outside_the_space_is_tried_besides_every_candidate_inside(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload, fixed), executor)
    assert run(loop, 1000) == "exhausted"
    assert executor.asked[0].graph["precision"] == "fp32"
    assert all(candidate.graph["precision"] == "fp16" for candidate in executor.asked[1:])
    assert len(set(executor.asked)) == 1 + 6 * 2
    baseline, *others = optuna_trials(storage)
    assert (baseline.params, baseline.user_attrs["precision"]) == ({}, "fp32")
    assert all(len(trial.params) == 2 for trial in others)


def test_second_search_of_the_same_study_raises_user_error(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    rival = loop_of(storage, spec, Here(workload, workspace))

    def run_the_other(record: TrialRecord) -> None:
        if record.number == 1:
            run(rival, 4)

    loop = replace(rival, observer=Notes(run_the_other))
    with pytest.raises(UserError, match=r"this study does not know of|stored already"):
        run(loop, 6)
    assert len(storage.finished("study")) == 4


def test_the_search_learns(storage: Storage, workload: Workload, workspace: Workspace) -> None:
    spec = spec_of(workload, constraints=["error<=1"])
    candidates = (candidate_at(spec.space, point) for point in points(spec.space))
    best = min(latency_ms(Settings(one.settings, model=workload.model.digest)) for one in candidates)
    loop = loop_of(storage, spec, Here(workload, workspace))
    # a run that goes on learns from the one before
    run(loop, 10)
    run(loop, 25)
    found = min(record.metrics["latency_ms"].value for record in records_of(loop))
    assert found < 1.02 * best
