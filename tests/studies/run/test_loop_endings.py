"""What ends a search's search, and how long a trial may take."""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Artifact, Evaluation, Failure
from engines.core.values import Candidate, Workload
from studies.core.records import TrialRecord
from studies.run import loop as loop_module
from studies.run.limits import SHORTEST_LIMIT_SECONDS, TIMES_BASELINE, Ended, Limits, Stop
from studies.storage.storage import Storage
from tests.studies.loops import Here, Notes, in_order, loop_of, optuna_trials, records_of, run, spec_of


@pytest.fixture
def database_url(workspace: Workspace) -> str:
    return str(workspace.database)


def test_search_ends_when_every_candidate_was_tried(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload, fixed), executor)
    assert run(loop, 1000) == "exhausted"
    assert len(executor.asked) == 6 * 2


def test_a_space_of_one_candidate_needs_one_trial(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    everything = {one.name: [str(one.default).lower()] for one in spec.space}
    executor = Here(workload, workspace)
    assert run(loop_of(storage, spec_of(workload, everything), executor), 50) == "exhausted"
    assert executor.asked == [spec.baseline]


def test_stop_ends_the_search_after_the_trial_in_flight(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    stop = Stop()

    def ask(record: TrialRecord) -> None:
        assert stop.running
        stop.requested = record.number == 2

    loop = replace(loop_of(storage, spec_of(workload), Here(workload, workspace)), observer=Notes(ask))
    assert loop.run(Limits(50), stop).ending == "interrupted"
    assert len(storage.finished("study")) == len(optuna_trials(storage)) == 3
    assert not stop.running


def test_time_limit_ends_the_search_after_the_trial_in_flight(
    storage: Storage, workload: Workload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here(workload, workspace)
    # a clock that each evaluation moves on by a second
    clock = SimpleNamespace(monotonic=lambda: float(len(executor.asked)), perf_counter=time.perf_counter)
    monkeypatch.setattr(loop_module, "time", clock)
    loop = loop_of(storage, spec_of(workload), executor)
    assert run(loop, 50, seconds=2.5) == "timeout"
    assert len(executor.asked) == len(storage.finished("study")) == 3
    assert run(loop, 50, seconds=1.0) == "timeout"
    assert len(executor.asked) == 4


def test_a_trial_may_take_as_long_as_was_said(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    run(loop_of(storage, spec_of(workload), executor), 3, trial_seconds=7.0)
    assert executor.limits == [7.0, 7.0, 7.0]


@pytest.mark.parametrize(
    ("stages", "built_in", "limit"),
    [
        ({"build": 0.1}, None, SHORTEST_LIMIT_SECONDS),
        ({"build": 30.0, "measure": 3.0}, None, TIMES_BASELINE * 33.0),
        # the baseline's engine was there, and those of others will have to be built
        ({"build": 0.0, "measure": 3.0}, 30.0, TIMES_BASELINE * 33.0),
    ],
)
def test_a_trial_may_take_a_multiple_of_the_baseline(
    storage: Storage,
    workload: Workload,
    workspace: Workspace,
    stages: Mapping[str, float],
    built_in: float | None,
    limit: float,
) -> None:
    def verdict(candidate: Candidate) -> Evaluation:
        engine = Artifact("e" * 32, 1, 0.0, reused=True, facts={"build_seconds": built_in or 0.0})
        failure = Failure("measure", "refused", "no luck")
        return Evaluation(candidate, engine=engine, failure=failure, stage_seconds=stages)

    executor = Here(workload, workspace, verdict)
    run(loop_of(storage, spec_of(workload), executor), 2)
    assert executor.limits[1] == pytest.approx(limit)


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("device_memory_bytes<=1e9", "device_memory_bytes is not available on this machine"),
        ("top1_agreement>=0.9", "the outputs of this model have no top1_agreement"),
    ],
)
def test_a_metric_that_the_baseline_does_not_have_ends_the_search_at_once(
    storage: Storage, workload: Workload, workspace: Workspace, constraint: str, said: str
) -> None:
    executor = Here(workload, workspace)
    loop = loop_of(storage, spec_of(workload, constraints=[constraint]), executor)
    for _ in range(2):
        with pytest.raises(UserError, match=said):
            run(loop, 10)
    assert len(executor.asked) == len(storage.finished("study")) == 1


def test_metric_missing_from_a_short_measurement_does_not_end_the_search(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    constraints = ["energy_mj<=1e9", "p99_bound_ms<=1e-9"]
    loop = loop_of(storage, spec_of(workload, constraints=constraints), Here(workload, workspace))
    assert run(loop, 3) == "complete"
    assert "energy_mj" not in records_of(loop)[0].metrics


def test_the_search_ends_when_little_is_left_to_gain(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    loop = loop_of(storage, spec_of(workload, constraints=["error<=1"]), Here(workload, workspace))
    ended = loop.run(Limits(200, min_gain=0.02), Stop())
    assert ended.ending == "converged"
    assert ended.left is not None
    assert ended.left.chance < 0.02
    assert isinstance(loop.observer, Notes)
    assert loop.observer.left[-1] == ended.left
    tried = len(loop.observer.records)
    assert 15 <= tried < 100
    assert run(loop, tried + 2) == "complete"


def test_converged_search_ends_again_until_more_is_requested(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload, constraints=["error<=1"])

    def searched(limits: Limits) -> tuple[Ended, int]:
        """By one who never says that little is left, and how many trials it made."""
        executor = Here(workload, workspace)
        return in_order(loop_of(storage, spec, executor)).run(limits, Stop()), len(executor.asked)

    first = loop_of(storage, spec, Here(workload, workspace)).run(Limits(200, min_gain=0.02), Stop())
    there = len(storage.finished("study"))
    assert searched(Limits(200, min_gain=0.02)) == (first, 0)
    assert searched(Limits(200, min_gain=0.05)) == (first, 0)
    assert searched(Limits(there + 1, min_gain=0.01)) == (Ended("complete"), 1)
    # what was so before this trial need not be now
    assert searched(Limits(there + 2, min_gain=0.02)) == (Ended("complete"), 1)
