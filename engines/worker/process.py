"""A worker's process, seen by its owner: started, asked, killed when it takes too long, its log read."""

import math
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from engines.core.errors import TunerError, UserError
from engines.core.processes import bury, close, kill_group, signal_name
from engines.core.results import Failure, FailureKind
from engines.core.values import Stage
from engines.worker.protocol import Message, Progress, Refused, Reply, decode_reply, encode

# a graph is made once for many trials, and calibrating it takes as long as its model runs: from one sign of
# progress to the next it may take this
GRAPH_SECONDS = 1800.0
# what takes none of the trial's time, and how long it may take: others may need the GPU for long
FREE: Mapping[Stage, float] = {"graph": GRAPH_SECONDS, "wait": math.inf}


class Deadline:
    """How far a worker has come with one request, and how long it may take; making its graph and waiting for
    the GPU do not count.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.stage: Stage = "prepare"
        self.detail = ""
        self.stage_seconds: dict[str, float] = {}
        self._has_begun = False
        self._since = time.monotonic()
        self._deadline = self._since + seconds

    @property
    def limit(self) -> float:
        """Seconds that the request may take, or what does not count alone while it lasts."""
        return FREE[self.stage] if self._is_free else self._seconds

    @property
    def _is_free(self) -> bool:
        return self._has_begun and self.stage in FREE

    def seconds_left(self) -> float:
        end = self._since + FREE[self.stage] if self._is_free else self._deadline
        return max(0.0, end - time.monotonic())

    def enter(self, stage: Stage, detail: str) -> None:
        if self._is_free:
            self._deadline += time.monotonic() - self._since
        self._account()
        self.stage, self.detail, self._has_begun = stage, detail, True

    def failure(self, kind: FailureKind, message: str) -> "Lost":
        self._account()
        return Lost(Failure(self.stage, kind, message), dict(self.stage_seconds))

    def _account(self) -> None:
        now = time.monotonic()
        # nobody's costs
        if self._has_begun and self.stage != "wait":
            self.stage_seconds[self.stage] = self.stage_seconds.get(self.stage, 0.0) + now - self._since
        self._since = now


class Lost(TunerError):
    """The worker is gone, and with it the request."""

    def __init__(self, failure: Failure, stage_seconds: Mapping[str, float]) -> None:
        super().__init__(failure.message)
        self.failure, self.stage_seconds = failure, stage_seconds


# colours, which ONNX Runtime prints whether or not anybody can see them
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# how often a waiting owner looks up, so that progress can show the time that passes
TICK_SECONDS = 0.2

# told the stage, and how far it is where the backend tells
OnProgress = Callable[[Stage, str], None]
# what a worker said: a message, a line that is none, and at last its end
Heard = Reply | msgspec.DecodeError | None


class WorkerProcess:
    """A process that answers one request at a time; what it prints is added to the log at `log_path`."""

    def __init__(self, log_path: Path) -> None:
        self.log_path = log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._replies: queue.SimpleQueue[Heard] = queue.SimpleQueue()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it if need be, from the owner's main thread: Linux ends it with the thread that did."""
        if self._process is None:
            self._start()

    def ask(self, request: Message, seconds: float, on_progress: OnProgress) -> Reply:
        """The reply to one request; raises Lost when the process dies or the time is up, UserError when it
        refuses.
        """
        deadline = Deadline(seconds)
        self._send(request)
        while True:
            message = self._listen(deadline, on_progress)
            if isinstance(message, Refused):
                raise UserError(message.message, message.hint)
            if not isinstance(message, Progress):
                return message
            deadline.enter(message.stage, message.detail)
            on_progress(message.stage, message.detail)

    def kill(self) -> None:
        """Stops the process and its children at once; it may be started again."""
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
        if self.log_path.exists() and self.log_path.stat().st_size == 0:
            self.log_path.unlink()

    def log_position(self) -> int:
        """Where the log ends now, in bytes."""
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_since(self, position: int, most: int = 1_000_000) -> str:
        """What was printed since, its end where it is longer than `most` bytes."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(position, size - most))
            return ESCAPES.sub("", log.read().decode(errors="replace"))

    def last_words(self, position: int) -> str:
        """The last line that was printed since, empty where there is none."""
        return self.log_since(position).rstrip().rpartition("\n")[2].strip()

    def _start(self) -> None:
        paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._replies = queue.SimpleQueue()
        try:
            with self.log_path.open("ab") as log:
                # -P: whatever lies in the folder where the command runs is not to be imported.
                # -u: a crash is to lose nothing that was printed, in C's buffers either.
                # A session of its own: Ctrl-C reaches the owner alone, and a kill the worker's children
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-u", "-m", "engines.worker.server"],
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

    def _send(self, request: Message) -> None:
        process = self._process
        if process is None:
            return  # stopped by its owner meanwhile, from another thread
        assert process.stdin is not None
        # a process that is already dead shows itself by the end of its replies
        with suppress(BrokenPipeError):
            process.stdin.write(encode(request))
            process.stdin.flush()

    def _listen(self, deadline: Deadline, on_progress: OnProgress) -> Reply:
        """The worker's next message."""
        was_alive = True
        while True:
            try:
                message = self._replies.get(timeout=min(TICK_SECONDS, deadline.seconds_left()))
            except queue.Empty:
                if not deadline.seconds_left():
                    self.kill()
                    raise deadline.failure(
                        "timeout", f"still not done after {deadline.limit:.3g} s"
                    ) from None
                if not was_alive:
                    raise self._post_mortem(deadline) from None
                # children of a dead worker may hold its pipe open; its last words get one more tick
                was_alive = self.is_running()
                on_progress(deadline.stage, deadline.detail)
            else:
                if message is None:
                    raise self._post_mortem(deadline)
                if isinstance(message, msgspec.DecodeError):
                    self.kill()
                    raise deadline.failure("internal", f"the worker's answer cannot be read: {message}")
                return message

    def _post_mortem(self, deadline: Deadline) -> Lost:
        """What the dead process died of."""
        process, self._process = self._process, None
        if process is None:
            # its owner did it from another thread, and asks no more what came of it
            return deadline.failure("crashed", "the worker was stopped")
        code = bury(process)
        if code >= 0:
            return deadline.failure("crashed", f"the worker ended by itself with exit code {code}")
        name = signal_name(-code)
        if -code == signal.SIGKILL:
            message = f"the worker was killed ({name}), most likely by the system for lack of memory"
            return deadline.failure("out_of_memory", message)
        return deadline.failure("crashed", f"the worker died of {name}")


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
