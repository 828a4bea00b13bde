"""Workers that answer in a thread of the tests' process, where a worker's process is not what is tested.

Requests and replies pass the wire as they do between processes. What would end its process still gets one:
the faults `crash` and `hang`, and backends whose libraries may crash. Real engines of a search are timed for
no more than a moment.
"""

import io
import queue
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.fake.machine import FAULTS
from engines.core.values import Policy, Settings
from engines.worker import client, server
from engines.worker.process import TICK_SECONDS, Deadline, Heard, OnProgress, WorkerProcess
from engines.worker.protocol import Message, Open, Reply, decode_reply, encode

DEADLY = {"crash", "hang"}
# seconds
LONGEST = {"warmup": 0.01, "minimum": 0.02, "maximum": 0.1, "block": 0.01}


@contextmanager
def workers_in_threads() -> Iterator[None]:
    """Until its end workers start no process where none is needed."""
    begin = client.Worker.__init__

    def init(self: client.Worker, opening: Open | None, workspace: Workspace, name: str = "") -> None:
        begin(self, opening, workspace, name)
        if opening is None or can_run_here(opening.backend, opening.options):
            self._process = ThreadWorker(self._process.log_path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client.Worker, "__init__", init)
        patch.setattr(server, "keep_what_is_loaded", lambda: None)
        yield


def can_run_here(backend: str, options: Settings) -> bool:
    """Whether nothing that the backend does harms or disturbs the process that it runs in."""
    if backend != "fake":
        return backend in ("onnxruntime", "replay")
    faults = set(str(options.get("faults", FAULTS)).split("+"))
    return not options.get("fault_rate") or not faults & DEADLY


class ThreadWorker(WorkerProcess):
    """Serves requests in a thread; in a process after all once a request is about what cannot run here."""

    def __init__(self, log_path: Path) -> None:
        super().__init__(log_path)
        self._thread: _Served | None = None

    def is_running(self) -> bool:
        return super().is_running() or (self._thread is not None and self._thread.is_alive())

    def start(self) -> None:
        """Nothing is started before it is known what is asked."""

    def ask(self, request: Message, seconds: float, on_progress: OnProgress) -> Reply:
        if self._process is None and self._thread is None:
            if _runs_here(request):
                self._replies = queue.SimpleQueue()
                self._thread = _Served(self.log_path, self._replies)
            else:
                self._start()
        if isinstance(request, Open) and request.backend == "onnxruntime":
            request = msgspec.structs.replace(request, policy=_short(request.policy))
        return super().ask(request, seconds, on_progress)

    def kill(self) -> None:
        self._end_thread()
        super().kill()

    def close(self) -> None:
        self._end_thread()
        super().close()

    def _end_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.lines.put(b"")
            self._replies.put(None)

    def _send(self, request: Message) -> None:
        thread = self._thread
        if thread is None:
            super()._send(request)
        else:
            thread.lines.put(encode(request))

    def _listen(self, deadline: Deadline, on_progress: OnProgress) -> Reply:
        if self._process is not None:
            return super()._listen(deadline, on_progress)
        while True:
            try:
                message = self._replies.get(timeout=min(TICK_SECONDS, deadline.seconds_left()))
            except queue.Empty:
                if deadline.seconds_left():
                    on_progress(deadline.stage, deadline.detail)
                    continue
                self._end_thread()
                raise deadline.failure("timeout", f"still not done after {deadline.limit:.3g} s") from None
            if message is None:
                self._end_thread()
                raise deadline.failure("crashed", "the worker ended by itself with exit code 1")
            assert not isinstance(message, Exception), message
            return message


class _Lines(queue.SimpleQueue[bytes]):
    """The requests; an empty line ends who reads them, as its owner's death ends a process."""

    def get(self, block: bool = True, timeout: float | None = None) -> bytes:
        line = super().get(block, timeout)
        if not line:
            raise SystemExit
        return line


class _Replies(io.BytesIO):
    def __init__(self, to: "queue.SimpleQueue[Heard]") -> None:
        super().__init__()
        self._to = to

    def write(self, line: Any) -> int:
        self._to.put(decode_reply(line))
        return len(line)


class _Served(threading.Thread):
    """A worker's main loop."""

    def __init__(self, log_path: Path, replies: "queue.SimpleQueue[Heard]") -> None:
        super().__init__(daemon=True, name="worker")
        self.lines = _Lines()
        self._log_path, self._replies = log_path, replies
        self.start()

    def run(self) -> None:
        try:
            server.serve(self.lines, _Replies(self._replies))
        except Exception:
            with self._log_path.open("a") as log:
                log.write(traceback.format_exc())
        except SystemExit:
            return
        self._replies.put(None)


def _short(policy: Policy) -> Policy:
    times = {f"{name}_seconds": most for name, most in LONGEST.items()}
    return replace(policy, **{name: min(most, getattr(policy, name)) for name, most in times.items()})


def _runs_here(request: Message) -> bool:
    backend = getattr(request, "backend", None)
    return backend is None or can_run_here(backend, getattr(request, "options", Settings()))
