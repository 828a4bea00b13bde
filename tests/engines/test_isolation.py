import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engines.errors import Interrupted, UserError
from engines.isolation import Worker
from engines.protocol import Open
from engines.values import Candidate, Evaluation, Settings, Stage, Workload
from engines.workspace import Workspace
from tests.troublesome import (
    CHILD,
    candidate,
    is_running,
    process_in,
    wait_until,
    worker_knows,
)
from tests.workloads import QUICK, tiny_conv, workload_of

PLENTY = 60.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    worker_knows(tmp_path, monkeypatch)
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path))


@pytest.fixture
def worker(workspace: Workspace, workload: Workload) -> Iterator[Worker]:
    with Worker(opening(workspace, workload), workspace) as opened:
        yield opened


def opening(workspace: Workspace, workload: Workload, start: str = "works") -> Open:
    root = str(workspace.root.resolve())
    return Open("troublesome", Settings(start=start), root, workload, QUICK, concurrent=False)


def tried(worker: Worker, of: Candidate, seconds: float = PLENTY) -> tuple[Evaluation, int]:
    """What comes of the candidate, and the process that it was evaluated in."""
    start = worker.log_position()
    evaluation = worker.evaluate(of, seconds)
    return evaluation, process_in(worker.log_since(start))


def variant(workload: Workload, **build: str | int) -> Candidate:
    plain = candidate(workload)
    return Candidate(plain.graph, Settings(plain.build, **build), plain.run)


def test_a_candidate_is_measured_and_its_stages_are_told_in_order(worker: Worker, workload: Workload) -> None:
    stages: list[Stage] = []
    worker.prepare(workload.batch)
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


@pytest.mark.parametrize(
    ("deed", "kind", "message"),
    [
        ("segfault", "crashed", "the worker died of SIGSEGV"),
        ("abort", "crashed", "the worker died of SIGABRT"),
        ("exit", "crashed", "the worker ended by itself with exit code 7"),
        ("sys.exit", "crashed", "the worker ended by itself with exit code 7"),
        ("sigkill", "out_of_memory", "the worker was killed (SIGKILL), most likely by the system"),
        ("refuse unreadably", "internal", "the worker's answer cannot be read: Invalid enum value"),
    ],
)
def test_a_death_is_a_failed_evaluation_and_the_next_candidate_gets_another_worker(
    worker: Worker, workload: Workload, deed: str, kind: str, message: str
) -> None:
    start = time.monotonic()
    dead, first = tried(worker, candidate(workload, deed))
    passed = time.monotonic() - start
    assert dead.failure is not None
    assert (dead.failure.kind, dead.failure.stage) == (kind, "build")
    assert dead.failure.message.startswith(message)
    assert list(dead.stage_seconds)[-1] == "build"
    assert 0 <= dead.stage_seconds["build"] <= sum(dead.stage_seconds.values()) <= passed < PLENTY
    alive, second = tried(worker, candidate(workload))
    assert alive.measurement is not None
    assert second != first
    assert not is_running(first)


@pytest.mark.parametrize("deed", ["hang", "hang with the lock"])
def test_a_candidate_that_takes_too_long_is_killed_with_its_worker(
    worker: Worker, workload: Workload, deed: str
) -> None:
    _, first = tried(worker, candidate(workload))
    hung, same = tried(worker, candidate(workload, deed), seconds=1.0)
    assert hung.failure is not None
    assert (hung.failure.kind, hung.failure.stage) == ("timeout", "build")
    assert hung.failure.message == "still not done after 1 s"
    assert hung.stage_seconds["build"] == pytest.approx(1.0, abs=0.8)
    assert same == first
    assert not is_running(first)
    assert worker.evaluate(candidate(workload), PLENTY).measurement is not None


def test_an_engine_that_is_held_is_timed_when_asked_and_checked_at_the_end(
    worker: Worker, workload: Workload
) -> None:
    of = candidate(workload)
    assert worker.hold(of, PLENTY) is None
    assert worker.sample(of, PLENTY) is None
    assert worker.sample(of, PLENTY) is None
    evaluation = worker.release(of, PLENTY)
    assert evaluation.measurement is not None
    assert len(evaluation.measurement.blocks) == 2
    assert evaluation.accuracy is not None
    assert evaluation.candidate == of
    # and the worker is ready for other work
    assert worker.evaluate(of, PLENTY).measurement is not None


def test_with_cold_caches_a_held_engine_is_timed_so_with_each_sample(
    workspace: Workspace, workload: Workload
) -> None:
    asked = msgspec.structs.replace(opening(workspace, workload), policy=replace(QUICK, cold=True))
    of = candidate(workload)
    with Worker(asked, workspace) as worker:
        worker.hold(of, PLENTY)
        for _ in range(2):
            assert worker.sample(of, PLENTY) is None
        measurement = worker.release(of, PLENTY).measurement
    assert measurement is not None
    starts = [[block.started_at for block in some] for some in (measurement.blocks, measurement.cold)]
    warm, cold = starts
    assert warm[0] < cold[0] < warm[1] < cold[1]
    assert (len(warm), len(cold)) == (2, 2)


def test_what_cannot_be_held_is_a_failed_evaluation(worker: Worker, workload: Workload) -> None:
    failed = worker.hold(variant(workload, deed="segfault"), PLENTY)
    assert failed is not None
    assert failed.failure is not None
    assert failed.failure.kind == "crashed"
    assert worker.hold(candidate(workload), PLENTY) is None


def test_a_worker_that_dies_while_it_holds_an_engine_is_a_failed_evaluation(
    worker: Worker, workload: Workload
) -> None:
    of = candidate(workload)
    start = worker.log_position()
    assert worker.hold(of, PLENTY) is None
    os.kill(process_in(worker.log_since(start)), signal.SIGKILL)
    failed = worker.sample(of, PLENTY)
    assert failed is not None
    assert failed.failure is not None


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


def test_a_hang_is_shown_as_time_that_passes_in_its_stage(worker: Worker, workload: Workload) -> None:
    told: list[Stage] = []
    worker.evaluate(candidate(workload, "hang"), 1.0, lambda stage, _: told.append(stage))
    assert told[-3:] == ["build", "build", "build"]


@pytest.mark.parametrize("deed", ["child and hang", "child and crash", "fork and crash"])
def test_the_children_of_a_worker_die_with_it(worker: Worker, workload: Workload, deed: str) -> None:
    worker.open()
    start = time.monotonic()
    failed = worker.evaluate(candidate(workload, deed), 1.0 if "hang" in deed else PLENTY)
    assert failed.failure is not None
    assert time.monotonic() - start < PLENTY / 3
    wait_until(lambda: not is_running(process_in(worker.log_since(0), CHILD)))


def test_the_children_of_a_worker_end_with_the_search(worker: Worker, workload: Workload) -> None:
    _, process = tried(worker, candidate(workload, "child"))
    child = process_in(worker.log_since(0), CHILD)
    assert is_running(child)
    worker.close()
    assert not is_running(process)
    wait_until(lambda: not is_running(child))


def test_a_worker_that_was_killed_while_it_was_idle_costs_no_candidate(
    worker: Worker, workload: Workload
) -> None:
    _, first = tried(worker, candidate(workload))
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not is_running(first))
    evaluation, second = tried(worker, variant(workload, max_aux_streams=1))
    assert evaluation.measurement is not None
    assert second != first


def test_memory_that_runs_out_is_told_apart_and_leaves_the_worker_alive(
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


def test_of_a_long_log_the_end_is_kept(worker: Worker, workload: Workload) -> None:
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


def test_what_the_backend_refuses_reaches_the_user_unchanged(
    workspace: Workspace, workload: Workload
) -> None:
    with (
        Worker(opening(workspace, workload, start="refuses"), workspace) as worker,
        pytest.raises(UserError) as raised,
    ):
        worker.open()
    assert (raised.value.message, raised.value.hint) == ("the device is in use", "Wait for it.")


def test_what_lies_in_the_folder_of_the_command_is_not_imported(
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


OWNER = """
import sys
from pathlib import Path
from engines import wire
from engines.isolation import Worker
from engines.protocol import Open
from engines.values import Candidate
from engines.workspace import Workspace

opening, candidate = wire.from_json(sys.argv[1], Open), wire.from_json(sys.argv[2], Candidate)
with Worker(opening, Workspace(Path(opening.workspace))) as worker:
    worker.evaluate(candidate, 600.0)
    print("idle", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(
    workspace: Workspace, workload: Workload
) -> Iterator[Callable[[Candidate], "subprocess.Popen[bytes]"]]:
    """Starts a process that owns a worker and has it evaluate a candidate."""
    from engines import wire

    started = []

    def start(of: Candidate) -> "subprocess.Popen[bytes]":
        arguments = [wire.to_json(opening(workspace, workload)), wire.to_json(of)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, *(text.decode() for text in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def announced(workspace: Workspace, owner: "subprocess.Popen[bytes]") -> int:
    log = workspace.logs / f"worker-{owner.pid}.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    return process_in(log.read_text())


@pytest.mark.parametrize("deed", ["hang", "hang with the lock"])
def test_the_worker_ends_when_its_owner_is_killed_in_the_middle_of_a_build(
    workspace: Workspace,
    workload: Workload,
    owner: Callable[[Candidate], "subprocess.Popen[bytes]"],
    deed: str,
) -> None:
    process = owner(candidate(workload, deed))
    worker = announced(workspace, process)
    assert is_running(worker)
    process.kill()
    wait_until(lambda: not is_running(worker))


def test_an_idle_worker_ends_when_its_owner_is_killed(
    workspace: Workspace, workload: Workload, owner: Callable[[Candidate], "subprocess.Popen[bytes]"]
) -> None:
    process = owner(candidate(workload))
    assert process.stdout is not None
    assert process.stdout.readline() == b"idle\n"
    worker = announced(workspace, process)
    assert is_running(worker)
    process.kill()
    wait_until(lambda: not is_running(worker))
