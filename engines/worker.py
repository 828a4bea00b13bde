"""A worker process: reads requests on its standard input, answers on what was its standard output.

Run as `python -m engines.worker`. Whatever a vendor's library prints goes to standard error, the log. It ends
when its owner does: at the end of its input, and where the kernel can tell it, at the owner's death.
"""

import ctypes
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from engines.backends import open_backend
from engines.errors import UserError
from engines.evaluation import Bench, Report, evaluate
from engines.protocol import (
    Evaluate,
    Evaluated,
    Message,
    Open,
    Opened,
    Prepare,
    Prepared,
    Progress,
    Refused,
    Request,
    decode_request,
    encode,
)
from engines.workspace import Workspace

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves requests until the input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    die_with_owner()
    offer_to_the_memory_killer()
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests), daemon=True).start()
    serve(requests, replies)


def serve(requests: "queue.SimpleQueue[Request]", replies: BinaryIO) -> None:
    """Answers one request after another, each with exactly one reply that is no Progress."""

    def send(message: Message) -> None:
        replies.write(encode(message))
        replies.flush()

    bench: Bench | None = None
    while True:
        request = requests.get()
        try:
            if isinstance(request, Open):
                bench = _open(request)
                dimensions = bench.backend.dimensions(bench.workload, request.concurrent)
                send(Opened(bench.backend.machine(), dimensions))
            elif bench is not None:
                send(_answer(bench, request, lambda stage: send(Progress(stage))))
        except UserError as error:
            send(Refused(error.message, error.hint))


def _open(request: Open) -> Bench:
    return Bench(
        backend=open_backend(request.backend, request.options),
        workload=request.workload,
        workspace=Workspace(Path(request.workspace)),
        policy=request.policy,
    )


def _answer(bench: Bench, request: Evaluate | Prepare, report: Report) -> Message:
    if isinstance(request, Prepare):
        reference = bench.reference(request.batch)
        return Prepared(request.batch * len(reference.inputs))
    return Evaluated(evaluate(bench, request.candidate, report))


def _read(source: BinaryIO, requests: "queue.SimpleQueue[Request]") -> None:
    for line in source:
        requests.put(decode_request(line))
    # the owner is gone, and the main thread may be deep inside a build: nothing here needs a farewell
    os._exit(0)


def die_with_owner() -> None:
    """Asks Linux to kill this process when its parent dies, for builds that hold the interpreter's lock."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def offer_to_the_memory_killer() -> None:
    """When memory runs out, this process is to go, and not the owner or a neighbour."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
