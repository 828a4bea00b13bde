"""A worker's process, seen by its owner: started, asked, killed when it takes too long, its log read."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from engines.errors import UserError
from engines.processes import bury, close, kill_group, signal_name
from engines.protocol import Message, Progress, Refused, Reply, decode_reply, encode
from engines.values import Stage
from engines.watch import Lost, Watch

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

    def _send(self, request: Message) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # a process that is already dead shows itself by the end of its replies
        with suppress(BrokenPipeError):
            self._process.stdin.write(encode(request))
            self._process.stdin.flush()

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
