"""A worker process: reads requests on its standard input, answers on what was its standard output.

Run as `python -u -m engines.worker.server`. Whatever a vendor's library prints goes to standard error, the
log. It ends when its owner does: at the end of its input, and where the kernel can tell it, at the owner's
death.
"""

import ctypes
import faulthandler
import gc
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from engines.artifacts.fingerprints import Reused
from engines.artifacts.workspace import Workspace
from engines.backends.base import Limited
from engines.backends.registry import open_backend
from engines.core.errors import UserError
from engines.core.results import Block, Measurement
from engines.core.values import Stage
from engines.machine import gpu, gpu_conditions
from engines.machine.device_lock import DeviceLock
from engines.models.located import located
from engines.trials.evaluation import Report, evaluate_unless_measured, evaluate_with
from engines.trials.sampling import (
    Meter,
    block_seconds,
    cold_block,
    joined,
    measurement_of,
    target_half_width,
    timed_block,
)
from engines.trials.session import Session
from engines.worker.protocol import (
    Alone,
    AlreadyMeasured,
    Answer,
    DescribeEngine,
    Evaluate,
    Evaluated,
    FindGpu,
    GpuFound,
    GpuSeen,
    Held,
    Hold,
    LookAtGpu,
    MeasureEngine,
    Message,
    Open,
    Opened,
    Prepare,
    Prepared,
    Progress,
    Refused,
    Request,
    RunEngine,
    Sample,
    decode_request,
    encode,
)
from engines.worker.standalone import describe_engine, measure_engine, run_engine

_PR_SET_PDEATHSIG = 1
# what part of a block an engine runs untimed when it is its turn again
REWARMING = 5


def main() -> None:
    """Serves requests until the input ends."""
    die_with_owner()
    offer_to_the_memory_killer()
    source, replies = take_pipes()
    faulthandler.enable()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, lines), daemon=True).start()
    serve(lines, replies)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes from and to the owner; what libraries read is empty, and what they print goes to the log."""
    source, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, replies


def serve(lines: "queue.SimpleQueue[bytes]", replies: BinaryIO) -> None:
    """Answers one request after another, each with exactly one reply that is no Progress."""

    def send(message: Message) -> None:
        replies.write(encode(message))
        replies.flush()

    session: Session | None = None
    while True:
        request = decode_request(lines.get())
        try:
            if isinstance(request, Open):
                session = _open(request)
                # first, for once this process uses the device it is one of those that disturb
                warnings = session.backend.warnings()
                dimensions = session.backend.dimensions(session.workload, request.concurrent)
                send(Opened(session.backend.machine(), session.backend.device(), dimensions, warnings))
                keep_what_is_loaded()
            elif isinstance(request, Alone):
                send(_alone(request, lambda stage, detail: send(Progress(stage, detail))))
            else:
                assert session is not None, "the first request opens a backend"
                send(_answer(session, request, _Wire(lambda: decode_request(lines.get()), send)))
        except UserError as error:
            send(Refused(error.message, error.hint))


@dataclass(frozen=True)
class _Wire:
    """Both ends of the pipe, for requests that are a conversation."""

    receive: Callable[[], Request]
    send: Callable[[Message], None]

    def report(self, stage: Stage, detail: str) -> None:
        self.send(Progress(stage, detail))


def _open(request: Open) -> Session:
    workspace = Workspace(Path(request.workspace))
    backend = open_backend(request.backend, request.options, workspace.caches)
    workload = located(request.workload, workspace)
    if isinstance(backend, Limited):
        backend.check(workload, request.policy, request.metrics)
    return Session(
        backend=backend,
        workload=workload,
        workspace=workspace,
        policy=target_half_width(request.policy, backend.machine().kind),
        lock=DeviceLock(backend.shared()),
    )


def _answer(session: Session, request: Request, wire: _Wire) -> Message:
    match request:
        case Prepare(batch=batch):
            reference = session.reference(batch)
            keep_what_is_loaded()
            return Prepared(batch * len(reference.inputs))
        case Evaluate(candidate=candidate, bar=bar, measured=measured):
            found = evaluate_unless_measured(session, candidate, wire.report, bar, measured)
            return AlreadyMeasured(found) if isinstance(found, Reused) else Evaluated(found)
        case Hold(candidate=candidate):
            return Evaluated(
                evaluate_with(
                    session, candidate, wire.report, partial(_sample_on_request, session.lock, wire)
                )
            )
    raise AssertionError(f"nothing is held that {type(request).__name__} could be about")


def _alone(request: Alone, report: Report) -> Answer:
    """The answer to what needs no backend to have been opened."""
    match request:
        case MeasureEngine():
            return measure_engine(request, report)
        case DescribeEngine():
            return describe_engine(request)
        case RunEngine():
            return run_engine(request, report)
        case FindGpu():
            return GpuFound(gpu.has_gpu())
        case LookAtGpu(index=index):
            return GpuSeen(gpu_conditions.states(index))
    # onnx takes a while to load
    from engines.worker import graph_commands

    return graph_commands.answer(request, report)


def _sample_on_request(
    lock: DeviceLock, wire: _Wire, meters: Sequence[Meter], warmups: Sequence[list[Block]]
) -> Measurement:
    """Times a block of each case whenever the owner asks for one, until it has enough."""
    held = [_Held(meter, warmup) for meter, warmup in zip(meters, warmups, strict=True)]
    while isinstance(_next_request(lock, wire), Sample):
        for one in held:
            one.sample()
    return joined([one.measurement() for one in held])


class _Held:
    """A case of the engine that is held, and the blocks that were timed of it."""

    def __init__(self, meter: Meter, warmup: list[Block]) -> None:
        self._meter, self._warmup = meter, warmup
        self._seconds = block_seconds(meter.policy, warmup[-1])
        self._blocks: list[Block] = []
        self._cold: list[Block] = []

    def sample(self) -> None:
        meter = self._meter
        # others had the machine since the last block
        meter.runner.block(self._seconds / REWARMING)
        self._blocks.append(timed_block(meter, self._seconds, meter.read())[0])
        if meter.policy.cold:
            self._cold.append(cold_block(meter))

    def measurement(self) -> Measurement:
        found = measurement_of(self._meter, tuple(self._blocks), self._warmup)
        return replace(found, cold=tuple(self._cold))


def _next_request(lock: DeviceLock, wire: _Wire) -> Request:
    """What the owner wants next of the engine that is held, which leaves the device to others until then."""
    with lock.released(partial(wire.report, "wait", "")):
        wire.send(Held())
        request = wire.receive()
    wire.report("measure", "")
    return request


def _read(source: BinaryIO, lines: "queue.SimpleQueue[bytes]") -> None:
    for line in source:
        lines.put(line)
    # the owner is gone, and the main thread may be deep inside a build: nothing here needs a farewell
    os._exit(0)


def keep_what_is_loaded() -> None:
    """Spares the garbage collection of each trial what will never be garbage, above all the modules."""
    gc.collect()
    gc.freeze()


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
