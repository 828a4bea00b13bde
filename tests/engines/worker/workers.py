"""Workers of the backend `troublesome`, and what comes of its candidates."""

from engines.artifacts.workspace import Workspace
from engines.core.results import Evaluation
from engines.core.values import Candidate, Settings, Workload
from engines.worker.client import Worker
from engines.worker.protocol import Open
from tests.troublesome import candidate, process_in
from tests.workloads import QUICK

PLENTY = 60.0


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
