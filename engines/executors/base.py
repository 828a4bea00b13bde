"""Where candidates are evaluated: jobs go in, and events say what becomes of them.

An executor has one or more devices and evaluates one job on each at a time. What is made for a job is named
by digest, so a job that is lost with its machine can be submitted again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from engines.artifacts.fingerprints import Reused
from engines.core.results import Evaluation
from engines.core.values import Bar, Candidate
from engines.core.values import Stage as StageName
from engines.machine.device import Device
from engines.worker.protocol import Opened

# how long an owner waits for events before it looks at the time again
TICK_SECONDS = 0.5


@dataclass(frozen=True)
class Job:
    """A candidate to be evaluated: made, built, checked and measured until it is clearly worse than the bar.

    `number` names the job among those that are open; `seconds` is how long it may take. An engine with one of
    the fingerprints `known` is checked and not measured. With a `device` (its name) it waits for that one.
    """

    number: int
    candidate: Candidate
    seconds: float
    bar: Bar | None = None
    known: tuple[str, ...] = ()
    device: str | None = None


@dataclass(frozen=True)
class Started:
    """The job has its device."""

    number: int
    device: str


@dataclass(frozen=True)
class Stage:
    """What the job is doing; said again and again while it takes long. `detail` is how far it is."""

    number: int
    device: str
    stage: StageName
    detail: str = ""


@dataclass(frozen=True)
class Log:
    """What the job printed."""

    number: int
    device: str
    text: str


@dataclass(frozen=True)
class Finished:
    """What came of the job, the last that is heard of it. A failure is a result too."""

    number: int
    device: str
    found: Evaluation | Reused


Event = Started | Stage | Log | Finished


class Executor(Protocol):
    """Evaluates candidates. All methods are called from one thread."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """What it measures on, never empty."""

    def free(self) -> int:
        """How many more jobs would begin at once."""

    def submit(self, job: Job) -> None:
        """Takes a job; one that is pinned to a device waits for it, others need a free one."""

    def events(self, timeout: float) -> Iterator[Event]:
        """What happened since, in order; waits so many seconds for the first.

        Raises UserError for what the user must fix.
        """

    def cancel(self, number: int) -> None:
        """Ends a job at once: nothing more is heard of it."""


class StudyExecutor(Executor, Protocol):
    """An executor with what a study needs before its first job and after its last one."""

    def open(self) -> Opened:
        """Starts; the machine and its dimensions. Raises UserError where the backend cannot be used."""

    def prepare(self, batch: int, on_progress: Callable[[StageName, str], None]) -> None:
        """Computes the reference outputs; raises UserError for a model that cannot run."""

    def close(self) -> None:
        """Frees the devices; the next job starts again."""


def evaluate(
    executor: Executor, job: Job, on_event: Callable[[Event], object] = lambda _: None
) -> Evaluation:
    """What comes of one job by itself, of an executor that has no others; `known` must be empty."""
    executor.submit(job)
    try:
        while True:
            for event in executor.events(TICK_SECONDS):
                on_event(event)
                if isinstance(event, Finished):
                    assert isinstance(event.found, Evaluation), "nothing was known before"
                    return event.found
    except BaseException:
        executor.cancel(job.number)
        raise
