"""What a search makes of candidates that fail."""

from collections import Counter

import pytest
from optuna.trial import TrialState

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Candidate, Settings, Stage, Workload
from studies.storage.storage import Storage
from tests.studies.loops import Here, failed, in_order, loop_of, optuna_trials, records_of, run, spec_of


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


@pytest.mark.parametrize("stage", ["graph", "build"])
def test_graph_and_build_failures_are_not_tried_again(
    storage: Storage, workload: Workload, workspace: Workspace, stage: Stage
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        hopeless = candidate.graph["precision"] == "int8" and candidate.build["profile"] == "wide"
        return failed(stage, "crashed", "the worker died of SIGSEGV")(candidate) if hopeless else None

    fixed = {"builder_optimization_level": ["3", "4"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace, verdict)
    loop = in_order(loop_of(storage, spec_of(workload, fixed), executor))
    assert run(loop, 99) == "exhausted"
    records = records_of(loop)
    assert len(records) == 3 * 3 * 2 * 2
    dead = [record for record in records if record.failure is not None]
    asked = [record for record in dead if record.candidate in executor.asked]
    # each build fails once, or a graph once for all of its builds
    assert len({record.candidate.build for record in asked}) == len(asked)
    assert len(asked) == {"build": 2, "graph": 1}[stage] or stage == "graph"
    for record in dead:
        if record in asked:
            continue
        assert record.failure is not None
        first = next(
            one for one in asked if stage == "graph" or one.candidate.build == record.candidate.build
        )
        assert record.failure.message == f"as in trial {first.number}: the worker died of SIGSEGV"
        assert (record.failure.stage, record.failure.kind) == (stage, "crashed")
        assert (record.reused, record.log) == (False, "")


def test_run_failure_is_tried_again_under_another_run_spec(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, failed("load", "out_of_memory"))
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    loop = loop_of(storage, spec_of(workload, {**fixed, "max_aux_streams": ["0"]}), executor)
    assert run(loop, 99) == "exhausted"
    assert len(executor.asked) == 3


def test_internal_error_in_a_build_does_not_rule_it_out(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, failed("build", "internal"))
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    loop = loop_of(storage, spec_of(workload, {**fixed, "max_aux_streams": ["0"]}), executor)
    run(loop, 99)
    assert len(executor.asked) == 3


@pytest.mark.parametrize("stage", ["graph", "build"])
def test_sampler_does_not_suggest_candidates_that_cannot_be_made(
    storage: Storage, workload: Workload, workspace: Workspace, stage: Stage
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        hopeless = candidate.graph["precision"] == "int8"
        return failed(stage, "crashed")(candidate) if hopeless else None

    loop = loop_of(storage, spec_of(workload), Here(workload, workspace, verdict))
    run(loop, 40)
    dead = [record.candidate for record in records_of(loop) if record.failure is not None]
    assert dead
    assert len({one.graph if stage == "graph" else (one.graph, one.build) for one in dead}) == len(dead)


def test_failures_reach_optuna_as_pruned_and_infeasible_trials_with_their_violation(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    options = Settings(fault_rate=0.6, faults="refuse+memory+nan+wrong")
    executor = Here(workload, workspace, options=options)
    loop = loop_of(storage, spec_of(workload, options=options), executor)
    run(loop, 40)
    records = records_of(loop)
    assert min(Counter(record.state for record in records).values()) >= 3
    for record, trial in zip(records, optuna_trials(storage), strict=True):
        if record.state == "failed":
            assert trial.state == TrialState.PRUNED
            assert trial.constraints["failed"] > 0
        else:
            assert trial.state == TrialState.COMPLETE
            assert (max(trial.constraints.values()) > 0) == (record.state == "infeasible")


def test_a_baseline_that_fails_is_stored_and_the_search_goes_on(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        return failed("measure", "crashed")(candidate) if len(executor.asked) == 1 else None

    executor = Here(workload, workspace, verdict)
    loop = loop_of(storage, spec_of(workload), executor)
    assert run(loop, 5) == "complete"
    assert [record.state == "failed" for record in records_of(loop)] == [True] + [False] * 4


def test_full_disk_ends_the_search_without_a_trial(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        full = len(executor.asked) > 2
        return failed("build", "disk_full", "no space left in the workspace")(candidate) if full else None

    executor = Here(workload, workspace, verdict)
    loop = loop_of(storage, spec_of(workload), executor)
    with pytest.raises(UserError, match="no space left in the workspace") as raised:
        run(loop, 10)
    assert "run the same command again" in raised.value.hint
    assert len(storage.finished("study")) == len(optuna_trials(storage)) == 2
    executor.verdict = lambda _: None
    assert run(loop, 10) == "complete"
