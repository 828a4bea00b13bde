"""The owner's side of a worker process: kept warm, killed when it takes too long, replaced when it dies.

A candidate that kills its worker or never ends is answered with a Failure like any other.
"""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from engines.errors import UserError
from engines.processes import bury, close, kill_group, signal_name
from engines.protocol import (
    Alone,
    Answer,
    EngineMeasured,
    Evaluate,
    Evaluated,
    Held,
    Hold,
    Known,
    MeasureEngine,
    Message,
    Open,
    Opened,
    Prepare,
    Progress,
    Refused,
    Release,
    Reply,
    Sample,
    decode_reply,
    encode,
)
from engines.sharing import completed
from engines.values import Bar, Candidate, Evaluation, Stage
from engines.watch import Lost, Watch
from engines.workspace import Workspace

OPENING_SECONDS = 300.0
# colours, which ONNX Runtime prints whether or not anybody can see them
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# how often a waiting owner looks up, so that progress can show the time that passes
TICK_SECONDS = 0.2

NONE_MEASURED: Mapping[str, Evaluation] = {}

# told the stage, and how far it is where the backend tells
OnProgress = Callable[[Stage, str], None]
# what a worker said: a message, a line that is none, and at last its end
Heard = Reply | msgspec.DecodeError | None


def _ignore(stage: Stage, detail: str) -> None:
    """Progress that nobody watches."""


class Worker:
    """One worker process, started when first needed; a context manager.

    `name` tells the logs of one owner's workers apart. What only measures engines needs no `opening`.
    """

    def __init__(self, opening: Open | None, workspace: Workspace, name: str = "") -> None:
        self._opening, self._workspace = opening, workspace
        self._log_path = workspace.logs / f"worker-{os.getpid()}{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Starts the process, from the owner's main thread: Linux ends it with the thread that did."""
        if self._process is None:
            self._start()

    def open(self) -> Opened:
        """Starts the process if need be; the machine and the dimensions, or UserError."""
        assert self._opening is not None, "there is nothing to open"
        log_start = self.log_position()
        self.start()
        try:
            reply = self._ask(self._opening, OPENING_SECONDS, _ignore)
        except Lost as lost:
            raise self._unusable(f"the backend {self._opening.backend!r}", "", lost, log_start) from lost
        assert isinstance(reply, Opened)
        return reply

    def prepare(self, batch: int, on_progress: OnProgress = _ignore, seconds: float = 1800.0) -> None:
        """Computes the reference; raises UserError when the model cannot run, or takes its worker down."""
        log_start = self.log_position()
        self._revive()
        try:
            self._ask(Prepare(batch), seconds, on_progress)
        except Lost as lost:
            hint = "Try another backend, or smaller --shapes. "
            raise self._unusable("running the model for reference", hint, lost, log_start) from lost

    def evaluate(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: OnProgress = _ignore,
        bar: Bar | None = None,
        measured: Mapping[str, Evaluation] = NONE_MEASURED,
    ) -> Evaluation:
        """What comes of the candidate within the time; the worker's death is a failed evaluation.

        An engine with one of the fingerprints in `measured` is checked, and has the measurement of that one.
        """
        self._revive()
        request = Evaluate(candidate, bar, tuple(measured))
        found = self._evaluation(request, candidate, seconds, on_progress, measured)
        assert found is not None
        return found

    def hold(
        self, candidate: Candidate, seconds: float, on_progress: OnProgress = _ignore
    ) -> Evaluation | None:
        """Takes the candidate until it is warm and keeps it ready; None, or the evaluation that failed."""
        self._revive()
        return self._evaluation(Hold(candidate), candidate, seconds, on_progress)

    def sample(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        """Times one block of the candidate that is held; None, or the evaluation that failed."""
        return self._evaluation(Sample(), candidate, seconds, _ignore)

    def release(self, candidate: Candidate, seconds: float) -> Evaluation:
        """Lets go of the candidate that is held; its evaluation with the blocks that were timed."""
        found = self._evaluation(Release(), candidate, seconds, _ignore)
        assert found is not None
        return found

    def _evaluation(
        self,
        request: Message,
        candidate: Candidate,
        seconds: float,
        on_progress: OnProgress,
        measured: Mapping[str, Evaluation] = NONE_MEASURED,
    ) -> Evaluation | None:
        try:
            reply = self._ask(request, seconds, on_progress)
        except Lost as lost:
            return Evaluation(candidate, failure=lost.failure, stage_seconds=lost.stage_seconds)
        if isinstance(reply, Known):
            return completed(candidate, reply.found, measured[reply.found.fingerprint])
        assert isinstance(reply, Evaluated | Held)
        return reply.evaluation if isinstance(reply, Evaluated) else None

    def measure_engine(
        self, request: MeasureEngine, seconds: float, on_progress: OnProgress = _ignore
    ) -> EngineMeasured:
        """Times one engine by itself; raises UserError when that cannot be, or takes the worker down."""
        reply = self.answer(request, f"measuring {request.engine}", seconds, on_progress)
        assert isinstance(reply, EngineMeasured)
        return reply

    def answer(self, request: Alone, what: str, seconds: float, on_progress: OnProgress = _ignore) -> Answer:
        """The answer to what needs no opening; raises UserError where there is none. `what` says what is
        done.
        """
        log_start = self.log_position()
        self.start()
        try:
            reply = self._ask(request, seconds, on_progress)
        except Lost as lost:
            raise UserError(
                f"{what} took its process down: {lost.failure.message}{self._last_words(log_start)}",
                "Check that the engine was made for this machine.",
            ) from lost
        assert isinstance(reply, Answer)
        return reply

    def log_position(self) -> int:
        """Where the log ends now, in bytes."""
        return self._log_path.stat().st_size if self._log_path.exists() else 0

    def log_since(self, position: int, most: int = 1_000_000) -> str:
        """What was printed since, its end where it is long."""
        if not self._log_path.exists():
            return ""
        with self._log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(position, size - most))
            return ESCAPES.sub("", log.read().decode(errors="replace"))

    def kill(self) -> None:
        """Stops the process and its children at once; the next call starts another."""
        process, self._process = self._process, None
        if process is not None:
            kill_group(process)
            bury(process)

    def close(self) -> None:
        """Lets the process end, or ends it; an empty log goes with it."""
        process, self._process = self._process, None
        if process is not None:
            close(process.stdin)
            bury(process)
        if self._log_path.exists() and self._log_path.stat().st_size == 0:
            self._log_path.unlink()

    def _revive(self) -> None:
        """What killed an idle worker is no fault of the next candidate."""
        if self._process is not None and self._process.poll() is not None:
            self.kill()
        if self._process is None:
            self._workspace.create()  # clears what the dead one left unfinished
            self.open()

    def _start(self) -> None:
        paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._replies = queue.SimpleQueue()
        try:
            with self._log_path.open("ab") as log:
                # -P: whatever lies in the folder where the command runs is not to be imported.
                # -u: a crash is to lose nothing that was printed, in C's buffers either.
                # A session of its own: Ctrl-C reaches the owner alone, and a kill the worker's children
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-u", "-m", "engines.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env={**os.environ, "PYTHONPATH": paths},
                    start_new_session=True,
                )
        except OSError as error:
            raise UserError(
                f"a worker process cannot be started: {error}", "Free memory, processes or disk space."
            ) from error
        assert self._process.stdout is not None
        arguments = (self._process.stdout, self._replies)
        threading.Thread(target=_read, args=arguments, daemon=True).start()

    def _ask(self, request: Message, seconds: float, on_progress: OnProgress) -> Reply:
        """The reply to one request; raises Lost when the worker dies or the time is up."""
        watch = Watch(seconds)
        self._send(request)
        while True:
            message = self._listen(watch, on_progress)
            if isinstance(message, Refused):
                raise UserError(message.message, message.hint)
            if not isinstance(message, Progress):
                return message
            watch.enter(message.stage, message.detail)
            on_progress(message.stage, message.detail)

    def _listen(self, watch: Watch, on_progress: OnProgress) -> Reply:
        """The worker's next message."""
        assert self._process is not None
        was_alive = True
        while True:
            try:
                message = self._replies.get(timeout=min(TICK_SECONDS, watch.seconds_left()))
            except queue.Empty:
                if not watch.seconds_left():
                    self.kill()
                    raise watch.failure("timeout", f"still not done after {watch.limit:.3g} s") from None
                if not was_alive:
                    raise self._post_mortem(watch) from None
                # children of a dead worker may hold its pipe open; its last words get one more tick
                was_alive = self._process.poll() is None
                on_progress(watch.stage, watch.detail)
            else:
                if message is None:
                    raise self._post_mortem(watch)
                if isinstance(message, msgspec.DecodeError):
                    self.kill()
                    raise watch.failure("internal", f"the worker's answer cannot be read: {message}")
                return message

    def _send(self, request: Message) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # a process that is already dead shows itself by the end of its replies
        with suppress(BrokenPipeError):
            self._process.stdin.write(encode(request))
            self._process.stdin.flush()

    def _post_mortem(self, watch: Watch) -> Lost:
        """What the dead process died of."""
        process, self._process = self._process, None
        assert process is not None
        code = bury(process)
        if code >= 0:
            return watch.failure("crashed", f"the worker ended by itself with exit code {code}")
        name = signal_name(-code)
        if -code == signal.SIGKILL:
            message = f"the worker was killed ({name}), most likely by the system for lack of memory"
            return watch.failure("out_of_memory", message)
        return watch.failure("crashed", f"the worker died of {name}")

    def _unusable(self, what: str, hint: str, lost: Lost, log_start: int) -> UserError:
        """No trial can be made with a worker that does not live to the first, and its last words say why."""
        words = self._last_words(log_start)
        return UserError(
            f"{what} took its process down: {lost.failure.message}{words}",
            f"{hint}See the log {self._log_path}.",
        )

    def _last_words(self, log_start: int) -> str:
        last = self.log_since(log_start).rstrip().rpartition("\n")[2].strip()
        return f" ({last})" if last else ""


def _read(source: IO[bytes], replies: "queue.SimpleQueue[Heard]") -> None:
    """Hands over what the worker says; a line cut short by its death is left out."""
    with source:
        for line in source:
            try:
                replies.put(decode_reply(line))
            except msgspec.DecodeError as error:
                if line.endswith(b"\n"):
                    replies.put(error)
    replies.put(None)
