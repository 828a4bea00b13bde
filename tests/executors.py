"""An executor that evaluates in this process, one job at a time: no worker, no thread, no waiting."""

from collections.abc import Callable, Iterator, Sequence
from typing import Self

from engines.artifacts.fingerprints import Reused
from engines.artifacts.workspace import Workspace
from engines.backends.base import Limited
from engines.backends.registry import open_backend
from engines.core.results import Evaluation
from engines.core.values import Stage as StageName
from engines.executors.base import Event, Finished, Job, Log, Stage, Started
from engines.machine.device import Device
from engines.trials.evaluation import evaluate_unless_measured
from engines.trials.sampling import target_half_width
from engines.trials.session import Session
from engines.worker.protocol import Open, Opened

HERE = Device("here", "simulated", "simulated", "this process")
# which of the jobs that have a device is finished next
Choose = Callable[[Sequence[Job]], Job]


class InProcessExecutor:
    """Evaluates a job when its owner waits for events; a context manager.

    With several devices that many jobs are open at once, and `choose` says which is finished next.
    """

    def __init__(
        self,
        opening: Open,
        workspace: Workspace,
        devices: Sequence[Device] = (HERE,),
        choose: Choose = lambda jobs: jobs[0],
    ) -> None:
        self._opening, self._workspace = opening, workspace
        self._session: Session | None = None
        self._devices, self._choose = tuple(devices), choose
        # jobs in the order in which they came, each with the name of its device once it has one
        self._open: dict[int, tuple[Job, str | None]] = {}
        self._begun: list[Started] = []
        self.most_at_once = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Opened:
        opening = self._opening
        backend = open_backend(opening.backend, opening.options, self._workspace.caches)
        if isinstance(backend, Limited):
            backend.check(opening.workload, opening.policy, opening.metrics)
        policy = target_half_width(opening.policy, backend.machine().kind)
        self._session = Session(backend, opening.workload, self._workspace, policy)
        dimensions = backend.dimensions(opening.workload, opening.concurrent)
        return Opened(backend.machine(), self._devices[0], dimensions, backend.warnings())

    def prepare(self, batch: int, on_progress: Callable[[StageName, str], None]) -> None:
        self.session().reference(batch)

    def close(self) -> None:
        self._open.clear()

    def session(self) -> Session:
        assert self._session is not None, "open() comes first"
        return self._session

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def free(self) -> int:
        return len(self._idle())

    def submit(self, job: Job) -> None:
        assert job.number not in self._open
        assert job.device is not None or self._idle()
        self._open[job.number] = job, None
        self.most_at_once = max(self.most_at_once, len(self._open))
        self._assign()

    def events(self, timeout: float) -> Iterator[Event]:
        begun, self._begun = self._begun, []
        yield from begun
        running = [job for job, device in self._open.values() if device is not None]
        if not running:
            return
        job = self._choose(running)
        device = self._open[job.number][1]
        assert device is not None
        stages: list[Stage] = []
        found = self.evaluate(
            job, lambda stage, detail: stages.append(Stage(job.number, device, stage, detail))
        )
        yield from stages
        log = self.log(job)
        if log:
            yield Log(job.number, device, log)
        del self._open[job.number]
        self._assign()
        yield Finished(job.number, device, found)

    def cancel(self, number: int) -> None:
        self._open.pop(number, None)
        self._assign()

    def evaluate(self, job: Job, report: Callable[[StageName, str], None]) -> Evaluation | Reused:
        """What comes of the job."""
        return evaluate_unless_measured(self.session(), job.candidate, report, job.bar, job.known)

    def log(self, job: Job) -> str:
        """What the job printed."""
        return ""

    def _idle(self) -> list[str]:
        busy = {device for _, device in self._open.values()}
        return [one.name for one in self._devices if one.name not in busy]

    def _assign(self) -> None:
        """Gives each job that waits the device that it may have."""
        for number, (job, device) in self._open.items():
            fitting = [one for one in self._idle() if job.device in (None, one)] if device is None else []
            if fitting:
                self._open[number] = job, fitting[0]
                self._begun.append(Started(number, fitting[0]))
