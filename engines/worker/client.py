"""What a study's owner asks of a worker, which is kept warm and replaced when it dies.

A candidate that kills its worker or never ends is answered with a Failure like any other.
"""

import os

from engines.artifacts.fingerprints import Reused
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.core.values import Bar, Candidate, Stage
from engines.worker.process import Lost, OnProgress, WorkerProcess
from engines.worker.protocol import (
    Alone,
    AlreadyMeasured,
    Answer,
    EngineMeasured,
    Evaluate,
    Evaluated,
    Held,
    Hold,
    MeasureEngine,
    Message,
    Open,
    Opened,
    Prepare,
    Release,
    Sample,
)

OPENING_SECONDS = 300.0


def _ignore(stage: Stage, detail: str) -> None:
    """Progress that nobody watches."""


class Worker:
    """One worker process, started when first needed; a context manager.

    `name` tells the logs of one owner's workers apart. What only measures engines needs no `opening`.
    """

    def __init__(self, opening: Open | None, workspace: Workspace, name: str = "") -> None:
        self._opening, self._workspace = opening, workspace
        self._process = WorkerProcess(workspace.logs / f"worker-{os.getpid()}{name}.log")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the process, from the owner's main thread: Linux ends it with the thread that did."""
        self._process.start()

    def open(self) -> Opened:
        """Starts the process if need be; the machine and the dimensions, or UserError."""
        assert self._opening is not None, "there is nothing to open"
        log_start = self.log_position()
        self.start()
        try:
            reply = self._process.ask(self._opening, OPENING_SECONDS, _ignore)
        except Lost as lost:
            what, hint = f"the backend {self._opening.backend!r}", f"See the log {self._process.log_path}."
            raise self._took_down(what, lost, log_start, hint) from lost
        assert isinstance(reply, Opened)
        return reply

    def prepare(self, batch: int, on_progress: OnProgress = _ignore, seconds: float = 1800.0) -> None:
        """Computes the reference; raises UserError when the model cannot run, or takes its worker down."""
        log_start = self.log_position()
        self._revive()
        try:
            self._process.ask(Prepare(batch), seconds, on_progress)
        except Lost as lost:
            hint = f"Try another backend, or smaller --shapes. See the log {self._process.log_path}."
            raise self._took_down("running the model for reference", lost, log_start, hint) from lost

    def evaluate(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: OnProgress = _ignore,
        bar: Bar | None = None,
    ) -> Evaluation:
        """What comes of the candidate within the time; the worker's death is a failed evaluation."""
        found = self.evaluate_unless_measured(candidate, seconds, on_progress, bar, ())
        assert isinstance(found, Evaluation), "nothing was measured before"
        return found

    def evaluate_unless_measured(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: OnProgress,
        bar: Bar | None,
        measured: tuple[str, ...],
    ) -> Evaluation | Reused:
        """The same, but an engine that has one of the fingerprints `measured` is only checked."""
        self._revive()
        found = self._reply(Evaluate(candidate, bar, measured), candidate, seconds, on_progress)
        assert found is not None
        return found

    def hold(
        self, candidate: Candidate, seconds: float, on_progress: OnProgress = _ignore
    ) -> Evaluation | None:
        """Takes the candidate until it is warm and keeps it ready; None, or the evaluation that failed."""
        self._revive()
        return self._held(Hold(candidate), candidate, seconds, on_progress)

    def sample(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        """Times one block of the candidate that is held; None, or the evaluation that failed."""
        return self._held(Sample(), candidate, seconds)

    def release(self, candidate: Candidate, seconds: float) -> Evaluation:
        """Lets go of the candidate that is held; its evaluation with the blocks that were timed."""
        found = self._held(Release(), candidate, seconds)
        assert found is not None
        return found

    def _held(
        self, request: Message, candidate: Candidate, seconds: float, on_progress: OnProgress = _ignore
    ) -> Evaluation | None:
        found = self._reply(request, candidate, seconds, on_progress)
        assert not isinstance(found, Reused), "what is held is always timed"
        return found

    def _reply(
        self, request: Message, candidate: Candidate, seconds: float, on_progress: OnProgress
    ) -> Evaluation | Reused | None:
        try:
            reply = self._process.ask(request, seconds, on_progress)
        except Lost as lost:
            return Evaluation(candidate, failure=lost.failure, stage_seconds=lost.stage_seconds)
        if isinstance(reply, AlreadyMeasured):
            return reply.found
        assert isinstance(reply, Evaluated | Held)
        return reply.evaluation if isinstance(reply, Evaluated) else None

    def measure_engine(
        self, request: MeasureEngine, seconds: float, on_progress: OnProgress = _ignore
    ) -> EngineMeasured:
        """Times one engine by itself; raises UserError when that cannot be, or takes the worker down."""
        reply = self.answer(request, f"measuring {request.engine}", seconds, on_progress)
        assert isinstance(reply, EngineMeasured)
        return reply

    def answer(
        self,
        request: Alone,
        what: str,
        seconds: float,
        on_progress: OnProgress = _ignore,
        hint: str = "Check that the engine was made for this machine.",
    ) -> Answer:
        """The answer to what needs no opening; raises UserError where there is none.

        `what` says what is done, and `hint` what to do where it takes the worker down.
        """
        log_start = self.log_position()
        self.start()
        try:
            reply = self._process.ask(request, seconds, on_progress)
        except Lost as lost:
            raise self._took_down(what, lost, log_start, hint) from lost
        assert isinstance(reply, Answer)
        return reply

    def log_position(self) -> int:
        """Where the log ends now, in bytes."""
        return self._process.log_position()

    def log_since(self, position: int, most: int = 1_000_000) -> str:
        """What was printed since, its end where it is longer than `most` bytes."""
        return self._process.log_since(position, most)

    def kill(self) -> None:
        """Stops the process and its children at once; the next call starts another."""
        self._process.kill()

    def close(self) -> None:
        """Lets the process end, or ends it; an empty log goes with it."""
        self._process.close()

    def _revive(self) -> None:
        """What killed an idle worker is no fault of the next candidate."""
        if not self._process.is_running():
            self.kill()
            self._workspace.create()  # clears what the dead one left unfinished
            self.open()

    def _took_down(self, what: str, lost: Lost, log_start: int, hint: str) -> UserError:
        """Nothing can be done with a worker that does not live through this, and its last words say why."""
        words = self._process.last_words(log_start)
        said = f" ({words})" if words else ""
        return UserError(f"{what} took its process down: {lost.failure.message}{said}", hint)
