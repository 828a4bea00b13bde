import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import Settings, Workload
from engines.worker.protocol import (
    Evaluate,
    Evaluated,
    Message,
    Open,
    Opened,
    Prepare,
    Prepared,
    Progress,
    Refused,
    Reply,
    decode_reply,
    encode,
)
from tests.troublesome import candidate, worker_knows
from tests.workloads import QUICK, tiny_conv, workload_of


class Pipes:
    """A worker process, spoken to line by line."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-m", "engines.worker.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def ask(self, request: Message) -> list[Reply]:
        """Everything that is said until the reply, the reply last."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(encode(request))
        self.process.stdin.flush()
        said: list[Reply] = []
        while not said or isinstance(said[-1], Progress):
            said.append(decode_reply(self.process.stdout.readline()))
        return said


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path))


@pytest.fixture
def opening(tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch) -> Open:
    worker_knows(tmp_path, monkeypatch)
    workspace = Workspace(tmp_path / "w").create()
    return Open("troublesome", Settings(), str(workspace.root), workload, QUICK, concurrent=False)


@pytest.fixture
def pipes(opening: Open) -> Iterator[Pipes]:
    pipes = Pipes()
    yield pipes
    pipes.process.kill()
    pipes.process.communicate()


def test_each_request_gets_one_reply_behind_its_progress(
    pipes: Pipes, opening: Open, workload: Workload
) -> None:
    (opened,) = pipes.ask(opening)
    assert isinstance(opened, Opened)
    assert opened.machine.kind == "simulated"
    (prepared,) = pipes.ask(Prepare(workload.plan.batch))
    assert isinstance(prepared, Prepared)
    assert prepared.samples >= workload.plan.batch
    for _ in range(2):
        *progress, evaluated = pipes.ask(Evaluate(candidate(workload)))
        assert all(isinstance(one, Progress) for one in progress)
        assert isinstance(evaluated, Evaluated)
        assert evaluated.evaluation.measurement is not None


def test_a_users_error_is_a_refusal_and_the_worker_goes_on(
    pipes: Pipes, opening: Open, workload: Workload
) -> None:
    wrong = Open("fake", Settings(colour="red"), opening.workspace, workload, QUICK, concurrent=False)
    (refused,) = pipes.ask(wrong)
    assert isinstance(refused, Refused)
    assert refused.message == "the backend fake has no option 'colour'"
    assert isinstance(pipes.ask(opening)[-1], Opened)


def test_whatever_is_printed_stays_out_of_the_replies(
    pipes: Pipes, opening: Open, workload: Workload
) -> None:
    pipes.ask(opening)
    assert isinstance(pipes.ask(Evaluate(candidate(workload, "print")))[-1], Evaluated)
    replies, log = pipes.process.communicate()
    assert replies == b""
    assert log.count(b"from ") == 5


def test_the_end_of_the_requests_is_the_end_of_the_worker(pipes: Pipes, opening: Open) -> None:
    pipes.ask(opening)
    _, log = pipes.process.communicate()
    assert (pipes.process.returncode, log) == (0, b"")


def test_the_end_of_the_requests_ends_a_build_too(pipes: Pipes, opening: Open, workload: Workload) -> None:
    pipes.ask(opening)
    assert pipes.process.stdin is not None
    assert pipes.process.stdout is not None
    pipes.process.stdin.write(encode(Evaluate(candidate(workload, "hang"))))
    pipes.process.stdin.flush()
    while decode_reply(pipes.process.stdout.readline()) != Progress("build"):
        pass
    pipes.process.communicate(timeout=20)
    assert pipes.process.returncode == 0


@pytest.mark.parametrize("line", [b"hello\n", b'{"type":"Evaluate"}\n'])
def test_a_request_that_cannot_be_read_ends_the_worker_with_a_traceback(pipes: Pipes, line: bytes) -> None:
    assert pipes.process.stdin is not None
    pipes.process.stdin.write(line)
    pipes.process.stdin.flush()
    pipes.process.wait(20)
    replies, log = pipes.process.communicate()
    assert (pipes.process.returncode, replies) == (1, b"")
    assert b"DecodeError" in log or b"ValidationError" in log


def test_the_worker_is_the_first_to_go_when_memory_runs_out(pipes: Pipes, opening: Open) -> None:
    pipes.ask(opening)
    assert Path(f"/proc/{pipes.process.pid}/oom_score_adj").read_text() == "1000\n"


def test_a_message_is_one_line_that_names_its_type(opening: Open) -> None:
    line = encode(opening)
    assert line.count(b"\n") == 1
    assert json.loads(line)["type"] == "Open"
