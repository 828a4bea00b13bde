"""One worker process on this machine, driven by a thread so that its owner need not wait for it."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from engines.artifacts.workspace import Workspace
from engines.core.errors import TunerError
from engines.core.values import Stage as StageName
from engines.executors.base import Event, Finished, Job, Log, Stage, Started
from engines.machine.device import Device
from engines.worker.client import Worker
from engines.worker.protocol import Open, Opened

# a thread whose job was cancelled takes no longer to see it
CLOSING_SECONDS = 2.0


class _Cancelled(TunerError):
    """Nobody waits for the job any more."""


@dataclass(eq=False)
class _Running:
    """A job on its way through the thread."""

    job: Job
    is_cancelled: bool = False


class LocalExecutor:
    """One worker process; a context manager. `name` tells the logs of one owner's workers apart.

    The thread that asks the worker lives as long as the executor is open: Linux ends a process with the
    thread that started it, and a worker that died is replaced from there.
    """

    def __init__(self, opening: Open, workspace: Workspace, name: str = "") -> None:
        self._worker = Worker(opening, workspace, name)
        self._devices: tuple[Device, ...] = ()
        self._open: _Running | None = None
        self._jobs: queue.SimpleQueue[_Running | None] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[tuple[_Running, Event | BaseException]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Opened:
        """Starts the process; the machine and its dimensions, or UserError."""
        opened = self._worker.open()
        self._devices = (opened.device,)
        return opened

    def prepare(self, batch: int, on_progress: Callable[[StageName, str], None]) -> None:
        """Computes the reference outputs; raises UserError for a model that cannot run."""
        self._worker.prepare(batch, on_progress)

    @property
    def devices(self) -> tuple[Device, ...]:
        """The one that the worker measures on; empty before it was opened."""
        return self._devices

    def free(self) -> int:
        """1, or 0 while a job is open."""
        return int(self._open is None)

    def submit(self, job: Job) -> None:
        """Begins a job; no other may be open."""
        assert self._open is None, "a worker evaluates one candidate at a time"
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="executor", daemon=True)
            self._thread.start()
        self._open = _Running(job)
        self._jobs.put(self._open)

    def events(self, timeout: float) -> Iterator[Event]:
        """What happened since, in order; waits so many seconds for the first.

        Raises UserError for what the user must fix.
        """
        try:
            running, heard = self._heard.get(timeout=timeout)
            while True:
                if running is self._open:
                    if isinstance(heard, BaseException | Finished):
                        self._open = None
                    if isinstance(heard, BaseException):
                        raise heard
                    yield heard
                running, heard = self._heard.get_nowait()
        except queue.Empty:
            return

    def cancel(self, number: int) -> None:
        """Kills the worker where it has the job; the next one starts another."""
        running = self._open
        if running is not None and running.job.number == number:
            self._open, running.is_cancelled = None, True
            self._worker.kill()

    def close(self) -> None:
        """Lets the process end, or ends it; the next job starts another."""
        if self._open is not None:
            self.cancel(self._open.job.number)
        self._worker.close()
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join(CLOSING_SECONDS)

    def _serve(self) -> None:
        while (running := self._jobs.get()) is not None:
            try:
                self._evaluate(running)
            except _Cancelled:
                # a worker that was just being started when the others were killed
                self._worker.kill()
            except BaseException as error:
                self._heard.put((running, error))

    def _evaluate(self, running: _Running) -> None:
        job, device = running.job, self._devices[0].name if self._devices else ""

        def tell(event: Event) -> None:
            if running.is_cancelled:
                raise _Cancelled("cancelled")
            self._heard.put((running, event))

        tell(Started(job.number, device))
        log_start = self._worker.log_position()
        found = self._worker.evaluate_unless_measured(
            job.candidate,
            job.seconds,
            lambda stage, detail: tell(Stage(job.number, device, stage, detail)),
            job.bar,
            job.known,
        )
        log = self._worker.log_since(log_start)
        if log:
            tell(Log(job.number, device, log))
        tell(Finished(job.number, device, found))
