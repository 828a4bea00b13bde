"""Workers whose owner is killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.values import Candidate, Workload
from tests.engines.worker.workers import opening
from tests.troublesome import candidate, is_running, process_in, wait_until

OWNER = """
import sys
from pathlib import Path
from engines.core import wire
from engines.worker.client import Worker
from engines.worker.protocol import Open
from engines.core.values import Candidate
from engines.artifacts.workspace import Workspace

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
    from engines.core import wire

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
