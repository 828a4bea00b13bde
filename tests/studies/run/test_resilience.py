import json
from pathlib import Path

import markupsafe
import pytest

from benchmarks.kills import Kill, cleared, kills, search_in
from benchmarks.runs import run, tuner
from engines.backends.fake.machine import WRONG_ERROR
from engines.core.values import Candidate, Settings
from studies.core.records import StudyRecord, TrialRecord
from studies.core.space import candidate_at, points
from studies.storage.storage import open_storage
from tests.workloads import tiny_conv

# a seed that has every fault in the space below, and a wrong output in every precision
FAULTY = "fake:fault_rate=0.45,seed=8"


def test_a_search_that_is_killed_again_and_again_loses_nothing_and_completes(tmp_path: Path) -> None:
    search = search_in(tmp_path, trials=30)
    killed = list(kills(search, count=3, seed=1))
    assert all(kill.reported for kill in killed)
    for kill in killed:
        assert kill.lost == set()
        assert kill.sound
        assert kill.workers_left == 0
    stored = [len(kill.stored) for kill in killed]
    assert stored == sorted(set(stored))
    end = search.finish()
    assert end.exit_code == 0
    assert end.is_whole(workers=1)
    assert len(end.study.trials) == 30
    assert end.sound
    assert end.optuna_agrees
    assert end.workers_left == 0
    assert cleared(killed, end)


def test_killed_with_several_trials_under_way_it_still_loses_nothing(tmp_path: Path) -> None:
    search = search_in(tmp_path, trials=40, workers=3)
    killed: list[Kill] = []
    # how many trials are under way when it is killed depends on the load of the machine
    while len(killed) < 3 or (len(killed) < 8 and max(kill.under_way for kill in killed) < 2):
        killed += kills(search, count=1, seed=len(killed))
    assert max(kill.under_way for kill in killed) > 1
    for kill in killed:
        assert (kill.lost, kill.sound, kill.workers_left) == (set(), True, 0)
    end = search.finish()
    assert end.exit_code == 0
    assert end.is_whole(workers=3)
    assert len(end.study.trials) == 40
    assert end.optuna_agrees
    assert (end.sound, end.workers_left, end.under_way) == (True, 0, 0)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a study of a whole space in which many of the trials fail, in each way that the fake can."""
    folder = tmp_path_factory.mktemp("faulty")
    run(search_faults(tiny_conv(folder), folder / "workspace"))
    return folder / "workspace"


def search_faults(model: Path, workspace: Path) -> list[str]:
    return tuner(
        *("search", model, "--backend", FAULTY, "--exhaustive", "--trial-timeout", "2"),
        *("--fix", "builder_optimization_level=1,3", "--fix", "max_aux_streams=0,2"),
        *("--study", "faulty", "--workspace", workspace, "--finalists", "0"),
    )


@pytest.fixture(scope="module")
def study(workspace: Path) -> StudyRecord:
    with open_storage(str(workspace / "studies.db")) as storage:
        return storage.read_study("faulty")


def engine_of(candidate: Candidate) -> tuple[Settings, Settings]:
    return candidate.graph, candidate.build


def wrong_ones(study: StudyRecord) -> list[TrialRecord]:
    found = [trial for trial in study.trials if "error" in trial.metrics]
    return [trial for trial in found if trial.metrics["error"].value > 0.1]


def test_a_study_full_of_faults_ends_normally(study: StudyRecord) -> None:
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    tried = {trial.candidate for trial in study.trials}
    assert len(tried) == len(study.trials)
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert len(failed) + len(wrong_ones(study)) >= 72 / 4
    assert sum(trial.state == "feasible" for trial in study.trials) >= 72 / 3
    # what was not tried needs an engine that cannot be built
    broken = {
        engine_of(trial.candidate) for trial in failed if trial.failure and trial.failure.stage == "build"
    }
    space = study.spec.space
    untried = {candidate_at(space, point) for point in points(space)} - tried
    assert untried
    assert {engine_of(candidate) for candidate in untried} <= broken


def test_each_fault_becomes_a_failure_of_its_kind(study: StudyRecord) -> None:
    told = {
        (trial.failure.stage, trial.failure.kind, trial.failure.message)
        for trial in study.trials
        if trial.failure is not None
    }
    assert told == {
        ("build", "crashed", "the worker died of SIGSEGV"),
        ("build", "timeout", "still not done after 2 s"),
        ("build", "refused", "the imaginary builder found no implementation for this network"),
        ("load", "out_of_memory", "out of memory after 67108864 bytes"),
        ("check", "not_finite", "output 'output' has 2 NaN or infinite values"),
    }


def test_wrong_outputs_are_infeasible_whatever_the_precision(study: StudyRecord) -> None:
    assert {trial.candidate.graph["precision"] for trial in wrong_ones(study)} == {"fp32", "fp16", "int8"}
    for trial in wrong_ones(study):
        assert trial.metrics["error"].value == pytest.approx(WRONG_ERROR, rel=0.01)
        assert trial.state == "infeasible"
        assert "error<=0.01" in trial.violations


def test_build_that_crashed_its_worker_is_not_repeated(study: StudyRecord) -> None:
    failed = [trial for trial in study.trials if trial.failure is not None and trial.failure.stage == "build"]
    assert any(trial.failure and trial.failure.kind == "crashed" for trial in failed)
    assert len({engine_of(trial.candidate) for trial in failed}) == len(failed)


def test_each_failure_is_named_by_tuner_show_and_in_the_report(workspace: Path, study: StudyRecord) -> None:
    shown = json.loads(run(tuner("show", "faulty", "--json", "--workspace", workspace)))
    report = (workspace / "reports" / "faulty" / "report.html").read_text()
    table = run(tuner("show", "faulty", "--workspace", workspace))
    for trial in study.trials:
        document = shown["trials"][trial.number]
        assert document["state"] == trial.state
        if trial.failure is None:
            assert document["failure"] is None
            continue
        assert document["failure"]["message"] == trial.failure.message
        assert document["failure"]["kind"] == trial.failure.kind
        assert markupsafe.escape(trial.failure.message) in report
        assert trial.failure.message in table


def test_the_log_of_a_crash_is_kept_with_its_trial(study: StudyRecord) -> None:
    crashed = next(
        trial for trial in study.trials if trial.failure is not None and trial.failure.kind == "crashed"
    )
    assert "Segmentation fault" in crashed.log
    assert all(not trial.log for trial in study.trials if trial.state == "feasible")


def test_the_next_run_leaves_the_workspace_tidy(workspace: Path) -> None:
    run(search_faults(workspace.parent / "tiny.onnx", workspace))
    assert list(workspace.rglob(".unfinished-*")) == []
