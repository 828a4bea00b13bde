"""The command with several workers of this machine, as if each had a device of its own.

    python -m benchmarks.several_workers 4 search net.onnx --backend fake

What they measure says nothing; that they run beside each other is what is tested. Trials under way are
written down whenever something is heard of one.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from engines.artifacts.workspace import Workspace
from engines.core.values import Stage
from engines.executors import registry
from engines.executors.base import Event, Job
from engines.executors.local import LocalExecutor
from engines.machine.device import Device
from engines.worker.protocol import Open, Opened
from studies.run import hooks
from tuner.cli import main as command

# of one worker, before the next one is asked
LOOK_SECONDS = 0.005


class SeveralWorkers:
    """Local executors as one; a context manager. The first opens, the others when they have a job."""

    def __init__(self, count: int, opening: Open, workspace: Workspace) -> None:
        self._workers = [LocalExecutor(opening, workspace, f"-{number}") for number in range(count)]
        self._devices: tuple[Device, ...] = ()
        self._waiting: list[Job] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> Opened:
        opened = self._workers[0].open()
        self._devices = tuple(
            replace(opened.device, uuid=f"{opened.device.uuid}-{number}", index=number)
            for number in range(len(self._workers))
        )
        return opened

    def prepare(self, batch: int, on_progress: Callable[[Stage, str], None]) -> None:
        self._workers[0].prepare(batch, on_progress)

    def close(self) -> None:
        with ExitStack() as closing:
            for worker in self._workers:
                closing.callback(worker.close)

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._devices

    def free(self) -> int:
        return sum(worker.free() for worker in self._workers)

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._begin()

    def events(self, timeout: float) -> Iterator[Event]:
        deadline, is_heard = time.monotonic() + timeout, False
        while not is_heard and time.monotonic() < deadline:
            for number, worker in enumerate(self._workers):
                for event in worker.events(LOOK_SECONDS):
                    is_heard = True
                    self._begin()
                    yield replace(event, device=self._devices[number].name)

    def cancel(self, number: int) -> None:
        self._waiting = [job for job in self._waiting if job.number != number]
        for worker in self._workers:
            worker.cancel(number)

    def _begin(self) -> None:
        """Gives each job that waits a worker that is free, its own where it is pinned to one."""
        for job in list(self._waiting):
            for device, worker in zip(self._devices, self._workers, strict=True):
                if worker.free() and job.device in (None, device.name):
                    self._waiting.remove(job)
                    worker.submit(job)
                    break


def main() -> None:
    """Runs the command whose words follow the number of workers."""
    count, *words = sys.argv[1:]
    executors = {registry.LOCAL: lambda *asked: SeveralWorkers(int(count), *asked)}
    registry.EXECUTORS = executors
    hooks.ATTEMPTS_EVERY_SECONDS = 0.0
    command(words)


if __name__ == "__main__":
    main()
