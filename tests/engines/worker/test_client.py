import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import Interrupted, UserError
from engines.core.values import Candidate, Settings, Stage, Workload
from engines.worker.client import Worker
from engines.worker.protocol import Open
from tests.engines.worker.workers import PLENTY, opening, tried, variant
from tests.troublesome import candidate, is_running
from tests.workloads import QUICK


def test_candidate_is_measured_and_stages_are_reported_in_order(worker: Worker, workload: Workload) -> None:
    stages: list[Stage] = []
    worker.prepare(workload.plan.batch)
    evaluation = worker.evaluate(candidate(workload), PLENTY, lambda stage, _: stages.append(stage))
    assert evaluation.measurement is not None
    assert evaluation.candidate == candidate(workload)
    told = list(dict.fromkeys(stages))
    assert [stage for stage in told if stage != "prepare"] == [
        "graph",
        "build",
        "load",
        "check",
        "warm-up",
        "measure",
    ]
    assert set(evaluation.stage_seconds) == set(told)


def test_the_worker_stays_warm_while_nothing_happens_to_it(worker: Worker, workload: Workload) -> None:
    _, first = tried(worker, candidate(workload))
    _, second = tried(worker, variant(workload, max_aux_streams=2))
    _, refused = tried(worker, variant(workload, builder_optimization_level="not a number"))
    assert first == second == refused
    assert is_running(first)


def test_a_worker_may_be_started_by_one_thread_and_opened_by_another(
    workspace: Workspace, workload: Workload
) -> None:
    with Worker(opening(workspace, workload), workspace, "-one") as worker:
        worker.start()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(worker.open).result()
            assert pool.submit(worker.hold, candidate(workload), PLENTY).result() is None
        # the thread that held it is gone, the worker is not
        assert worker.release(candidate(workload), PLENTY).failure is None


def test_out_of_memory_is_its_own_kind_and_keeps_the_worker_alive(
    workspace: Workspace, workload: Workload
) -> None:
    options = Settings(fault_rate=1.0, faults="memory")
    asked = Open("fake", options, str(workspace.root.resolve()), workload, QUICK, concurrent=False)
    plain = candidate(workload)
    settings = Settings({**plain.build, "profile": "narrow"})
    with Worker(asked, workspace) as worker:
        evaluation = worker.evaluate(Candidate(plain.graph, settings, plain.run), PLENTY)
        assert evaluation.failure is not None
        assert (evaluation.failure.kind, evaluation.failure.stage) == ("out_of_memory", "load")
        assert evaluation.engine is not None
        assert worker.evaluate(plain, PLENTY).measurement is not None


def test_the_log_of_a_trial_holds_what_was_printed_in_it_by_whatever_means(
    worker: Worker, workload: Workload
) -> None:
    worker.evaluate(candidate(workload), PLENTY)
    start = worker.log_position()
    worker.evaluate(candidate(workload, "print"), PLENTY)
    log = worker.log_since(start)
    for source in ("Python's stdout", "Python's stderr", "C's stdout", "the file descriptor", "a child"):
        assert log.count(f"from {source}\n") == 1
    start = worker.log_position()
    worker.evaluate(variant(workload, max_aux_streams=1), PLENTY)
    assert "from" not in worker.log_since(start)


def test_the_log_of_a_crash_holds_its_last_words_and_where_it_happened(
    worker: Worker, workload: Workload
) -> None:
    start = worker.log_position()
    worker.evaluate(candidate(workload, "print and crash"), PLENTY)
    log = worker.log_since(start)
    assert "the last words\n" in log
    assert "Fatal Python error: Segmentation fault" in log
    assert "in _print_in_c_and_crash" in log


def test_long_log_is_cut_to_its_end(worker: Worker, workload: Workload) -> None:
    worker.evaluate(candidate(workload, "print"), PLENTY)
    assert worker.log_since(0, most=13) == "from a child\n"
    assert worker.log_since(worker.log_position()) == ""


def test_a_library_that_reads_its_input_finds_none_and_takes_no_request(
    worker: Worker, workload: Workload
) -> None:
    worker.open()
    evaluation = worker.evaluate(candidate(workload, "read"), PLENTY)
    assert evaluation.measurement is not None
    assert "read '' and b''" in worker.log_since(0)
    assert worker.evaluate(variant(workload, max_aux_streams=1), PLENTY).measurement is not None


def test_after_an_interruption_the_next_answer_is_to_the_next_question(
    worker: Worker, workload: Workload
) -> None:
    def interrupt(stage: Stage, _: str) -> None:
        if stage == "build":
            raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        worker.evaluate(candidate(workload, "print"), PLENTY, interrupt)
    worker.kill()
    asked = variant(workload, max_aux_streams=4)
    assert worker.evaluate(asked, PLENTY).candidate == asked


def test_a_worker_that_cannot_be_started_is_a_users_error(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(UserError, match=r"^a worker process cannot be started: .*/no/such/python"):
        worker.open()


def test_a_worker_that_cannot_be_started_again_ends_the_search_with_a_users_error(
    worker: Worker, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.evaluate(candidate(workload, "segfault"), PLENTY)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(UserError, match="cannot be started"):
        worker.evaluate(candidate(workload), PLENTY)


def test_a_backend_that_takes_its_worker_down_is_a_users_error_with_its_last_words(
    workspace: Workspace, workload: Workload
) -> None:
    with (
        Worker(opening(workspace, workload, start="dies"), workspace) as worker,
        pytest.raises(UserError) as raised,
    ):
        worker.open()
    assert raised.value.message == (
        "the backend 'troublesome' took its process down: "
        "the worker ended by itself with exit code 3 (no licence found)"
    )
    assert raised.value.hint.startswith("See the log ")
    assert "no licence found" in Path(raised.value.hint.split()[-1].rstrip(".")).read_text()


def test_backend_refusal_reaches_the_user_unchanged(workspace: Workspace, workload: Workload) -> None:
    with (
        Worker(opening(workspace, workload, start="refuses"), workspace) as worker,
        pytest.raises(UserError) as raised,
    ):
        worker.open()
    assert (raised.value.message, raised.value.hint) == ("the device is in use", "Wait for it.")


def test_modules_in_the_current_folder_are_not_imported(
    worker: Worker, workload: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    for name in ("engines", "json"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong package')")
    monkeypatch.chdir(folder)
    assert worker.evaluate(candidate(workload), PLENTY).measurement is not None


def test_a_worker_with_nothing_to_say_leaves_no_log(workspace: Workspace, workload: Workload) -> None:
    with Worker(opening(workspace, workload), workspace) as worker:
        worker.open()
    assert list(workspace.logs.iterdir()) == []
