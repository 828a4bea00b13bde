"""What a search need not measure: an earlier study did, or it is the same engine."""

from dataclasses import replace

import pytest

from engines.artifacts.fingerprints import fingerprint
from engines.artifacts.workspace import Workspace
from engines.core.results import FailureKind
from engines.core.values import Settings, Workload
from studies.core.objectives import parse_constraints
from studies.storage.storage import Storage
from tests.studies.loops import Here, Notes, failed, in_order, loop_of, records_of, run, spec_of


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


def test_evaluations_of_an_earlier_study_are_reused(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    first = Here(workload, workspace)
    run(loop_of(storage, spec, first), 12)
    second = Here(workload, workspace)
    other = loop_of(storage, replace(spec, constraints=parse_constraints(["p99_ms<=1"])), second, "other")
    run(other, 12)
    assert not set(second.asked) & set(first.asked)
    assert [record.reused for record in records_of(other)] == [
        record.candidate in first.asked for record in records_of(other)
    ]
    assert records_of(other)[0].reused
    stored = storage.read_study("other").trials
    assert [trial.reused for trial in stored] == [record.reused for record in records_of(other)]
    assert stored[0].metrics == storage.read_study("study").trials[0].metrics
    assert stored[0].log == ""


def test_remeasure_measures_again(storage: Storage, workload: Workload, workspace: Workspace) -> None:
    spec = spec_of(workload)
    run(loop_of(storage, spec, Here(workload, workspace)), 3)
    again = Here(workload, workspace)
    run(replace(loop_of(storage, spec, again, "other"), remeasure=True), 3)
    assert len(again.asked) == 3


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        ("refused", True),
        ("not_finite", True),
        ("wrong_output", True),
        ("crashed", False),
        ("timeout", False),
        ("out_of_memory", False),
        ("internal", False),
    ],
)
def test_only_reproducible_failures_are_reused(
    storage: Storage, workload: Workload, workspace: Workspace, kind: FailureKind, lasts: bool
) -> None:
    spec = spec_of(workload)
    run(loop_of(storage, spec, Here(workload, workspace, failed("check", kind))), 1)
    second = Here(workload, workspace)
    other = loop_of(storage, spec, second, "other")
    run(other, 1)
    assert len(second.asked) == (0 if lasts else 1)
    assert (records_of(other)[0].failure is not None) == lasts


def test_a_build_refused_in_this_study_does_not_hide_what_an_earlier_one_measured(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"], "cuda_graph": ["true"]})
    run(loop_of(storage, spec, Here(workload, workspace)), 9)
    wider = replace(spec, space=spec_of(workload, {**fixed, "max_aux_streams": ["0"]}).space)
    crashing = Here(workload, workspace, failed("build", "crashed"))
    other = in_order(loop_of(storage, wider, crashing, "other"))
    run(other, 9)
    by_graph = {record.candidate.run["cuda_graph"]: record for record in records_of(other)[1:]}
    assert by_graph[False].failure is not None
    assert by_graph[True].failure is None
    stored = {trial.candidate.run["cuda_graph"]: trial for trial in storage.read_study("other").trials[1:]}
    assert stored[False].failure == by_graph[False].failure
    assert stored[True].metrics == by_graph[True].metrics


def test_the_number_of_another_studys_trial_is_not_shown(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"]})
    refuse = failed("build", "refused", "no kernel")
    run(loop_of(storage, spec, Here(workload, workspace, refuse)), 3)
    other = loop_of(storage, spec, Here(workload, workspace, refuse), "other")
    run(other, 3)
    for number, trial in enumerate(storage.read_study("other").trials):
        assert trial.failure is not None
        message = trial.failure.message
        assert message == "no kernel" or message.startswith(tuple(f"as in trial {n}:" for n in range(number)))
        told = records_of(other)[number].failure
        assert told == trial.failure


def test_an_engine_that_is_the_same_shares_the_measurement_of_the_first(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "cuda_graph": ["false"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    loop = loop_of(storage, spec, executor)
    assert run(loop, 3) == "complete"
    first, *others = records_of(loop)
    assert [trial.same_as for trial in (first, *others)] == [None, 0, 0]
    assert all(trial.metrics["latency_ms"] == first.metrics["latency_ms"] for trial in others)
    assert len({trial.engine.digest for trial in (first, *others) if trial.engine}) == 3
    assert not any("measure" in trial.evaluation.stage_seconds for trial in others)
    assert all("check" in trial.evaluation.stage_seconds for trial in others)
    assert [trial.same_as for trial in storage.read_study("study").trials] == [None, 0, 0]


def test_remeasure_does_not_share_measurements(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload, {"precision": ["fp32"], "profile": ["wide"], "max_aux_streams": ["0"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    loop = replace(loop_of(storage, spec, executor), remeasure=True)
    run(loop, 4)
    assert [trial.same_as for trial in records_of(loop)] == [None] * 4
    assert all("measure" in trial.evaluation.stage_seconds for trial in records_of(loop))


def test_a_shared_evaluation_answers_a_later_study_like_any_other(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "cuda_graph": ["false"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"], "builder_optimization_level": ["3", "4"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    run(loop_of(storage, spec, executor), 9)
    asked = len(executor.asked)
    later = loop_of(storage, replace(spec, constraints=parse_constraints(["error<=1"])), executor, "later")
    run(later, 9)
    assert len(executor.asked) == asked == 2
    assert [(trial.reused, trial.same_as) for trial in records_of(later)] == [(True, None), (True, 0)]


def test_a_dimension_that_changes_nothing_leaves_the_space_with_a_note(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32", "fp16"], "profile": ["wide", "static"], "max_aux_streams": ["0"]}
    spec = spec_of(
        workload, {**fixed, "cuda_graph": ["false"], "builder_optimization_level": ["2", "3", "4"]}
    )
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    loop = loop_of(storage, spec, executor)
    assert run(loop, 12) == "exhausted"
    assert 4 < len(executor.asked) < 12
    assert isinstance(loop.observer, Notes)
    (told,) = loop.observer.notes
    assert told.startswith("builder_optimization_level changes nothing here: 3 choices")
    # every engine there is was found nevertheless
    assert len({fingerprint(trial.engine) for trial in records_of(loop)}) == 4
    again = loop_of(storage, spec, executor)
    assert run(again, 12) == "exhausted"
    assert records_of(again) == []
