"""Our timer against others, on the same engines: plain loops of CUDA events, do_bench's loop, and nsys.

    python -m benchmarks.timer --models FOLDER [--backend tensorrt-rtx]

`pairs` puts a pair of events around each launch and waits once, at the end; `loop` puts one pair around all
launches; `do_bench` is the loop of triton.testing.do_bench, with and without its flush of the L2 cache. They
take turns. Kernels are those that nsys sees, where it is installed, in a run of its own without a CUDA graph.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import export
from benchmarks.runs import heading
from benchmarks.subjects import Subject, loaded, say, subject, workspace_at
from engines.artifacts.workspace import Workspace
from engines.core.values import Policy
from examples import models
from studies.core.space import candidate_at

PROFILED_RUNS = 200
LAUNCHES = 200
WARM_SECONDS = 0.5
# those of triton.testing.do_bench
FLUSHED_BYTES = 256 << 20
WARMUP_MS, REPEAT_MS = 25.0, 100.0
AGREES_WITHIN = 0.01


@dataclass(frozen=True)
class Case:
    """An engine for one shape: its model, and how it is made."""

    model: str
    shapes: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.model} {self.shapes.partition(':')[2].partition('x')[0]} {self.precision}"


CASES = (
    Case("resnet50", "input:1x3x224x224", "tf32"),
    Case("resnet50", "input:1x3x224x224", "fp16"),
    Case("resnet50", "input:8x3x224x224", "tf32"),
    Case("resnet50", "input:8x3x224x224", "fp16"),
    Case("mlp", "features:8192x64", "fp16"),
)


@dataclass(frozen=True)
class Launches:
    """What is timed: our runner, and what it launches on its stream; the device has events and memory."""

    runner: Any
    device: Any
    stream: Any
    launch: Callable[[], None]

    def events(self, count: int) -> list[Any]:
        from cuda.core import EventOptions

        options = EventOptions(timing_enabled=True)
        return [self.device.create_event(options=options) for _ in range(count)]


def pairs(of: Launches, count: int = LAUNCHES, before: Callable[[], None] = lambda: None) -> float:
    """The median of launches with a pair of events around each, in milliseconds; `before` is not timed."""
    starts, ends = of.events(count), of.events(count)
    for start, end in zip(starts, ends, strict=True):
        before()
        of.stream.record(start)
        of.launch()
        of.stream.record(end)
    of.stream.sync()
    return float(np.median([end - start for start, end in zip(starts, ends, strict=True)]))


def loop(of: Launches, count: int = LAUNCHES) -> float:
    """One pair of events around many launches, in milliseconds a launch; the median of three."""
    found = []
    for _ in range(3):
        start, end = of.events(2)
        of.stream.record(start)
        for _ in range(count):
            of.launch()
        of.stream.record(end)
        end.sync()
        found.append((end - start) / count)
    return float(np.median(found))


def do_bench(of: Launches, *, flush: bool) -> float:
    """The median as triton.testing.do_bench(return_mode="median") has it, in milliseconds."""
    buffer = of.device.allocate(FLUSHED_BYTES, stream=of.stream) if flush else None

    def clear() -> None:
        if buffer is not None:
            buffer.fill(0, stream=of.stream)

    of.launch()
    of.stream.sync()
    start, end = of.events(2)
    of.stream.record(start)
    for _ in range(5):
        clear()
        of.launch()
    of.stream.record(end)
    end.sync()
    estimate = (end - start) / 5
    for _ in range(max(1, int(WARMUP_MS / estimate))):
        of.launch()
    found = pairs(of, max(1, int(REPEAT_MS / estimate)), clear)
    if buffer is not None:
        buffer.close(of.stream)
        of.stream.sync()
    return found


def ours(of: Launches, *, cold: bool = False) -> float:
    """The median of all latencies of five blocks, in milliseconds."""
    of.runner.block(0.0, cold=cold)
    blocks = [of.runner.block(0.1, cold=cold) for _ in range(5)]
    return float(np.median(np.concatenate([block.latency_ms for block in blocks])))


TIMERS: Mapping[str, Callable[[Launches], float]] = {
    "ours": ours,
    "pairs": pairs,
    "loop": loop,
    "do_bench": partial(do_bench, flush=False),
    "ours cold": partial(ours, cold=True),
    "do_bench flushed": partial(do_bench, flush=True),
}
# like by like
RATIOS = (
    ("ours", "pairs"),
    ("ours", "loop"),
    ("ours", "do_bench"),
    ("ours", "kernels"),
    ("ours cold", "do_bench flushed"),
)


def timed(runner: Any, turns: int) -> dict[str, float]:
    """The engine by every timer, in milliseconds: the median over the turns."""
    runner.block(WARM_SECONDS)
    lane = runner._lanes[0]
    of = Launches(runner, runner._device, lane.stream, lane._launch)
    found: dict[str, list[float]] = {name: [] for name in TIMERS}
    for _ in range(turns):
        for name, timer in TIMERS.items():
            found[name].append(timer(of))
    return {name: float(np.median(times)) for name, times in found.items()}


@contextmanager
def opened(case: Case, arguments: argparse.Namespace, *, cuda_graph: bool) -> Iterator[Any]:
    """A runner of the case's engine, which the workspace keeps."""
    with workspace_at(arguments.workspace) as workspace:
        found = subject_of_case(case, arguments, workspace)
        settings = {**found.candidate.settings, "cuda_graph": cuda_graph}
        with loaded(found.session(), candidate_at(found.spec.space, settings)) as runner:
            yield runner


def subject_of_case(case: Case, arguments: argparse.Namespace, workspace: Workspace) -> Subject:
    model = arguments.models / f"{case.model}.onnx"
    if not model.exists():
        make = models.save if case.model in models.NAMES else export
        make(case.model, arguments.models)
    fix = [f"precision={case.precision}", "profile=static"]
    return subject(model, workspace, Policy(), arguments.backend, [case.shapes], fix)


def kernels(number: int, arguments: argparse.Namespace) -> float | None:
    """Milliseconds in which kernels of one inference run, by nsys; None where there is no nsys."""
    if shutil.which("nsys") is None or arguments.no_nsys:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        command = ["nsys", "profile", "-t", "cuda,nvtx", "--sample=none", "--cpuctxsw=none"]
        command += ["--capture-range=cudaProfilerApi", "--capture-range-end=stop", "-o", str(report)]
        command += [sys.executable, "-m", "benchmarks.timer", "--profiled", str(number)]
        command += ["--backend", arguments.backend, "--models", str(arguments.models)]
        command += ["--workspace", str(arguments.workspace)]
        subprocess.run(command, check=True, capture_output=True)
        export_command = ["nsys", "export", "--type", "sqlite", "-o", f"{report}.sqlite"]
        subprocess.run([*export_command, f"{report}.nsys-rep"], check=True, capture_output=True)
        with sqlite3.connect(f"{report}.sqlite") as database:
            query = "SELECT start, end FROM CUPTI_ACTIVITY_KIND_KERNEL ORDER BY start"
            spans = database.execute(query).fetchall()
    return busy(spans) / 1e6 / PROFILED_RUNS


def busy(spans: list[tuple[int, int]]) -> int:
    """The time in which at least one kernel ran: kernels may overlap, so their sum counts time twice."""
    found, until = 0, 0
    for start, end in spans:
        found += max(0, end - max(start, until))
        until = max(until, end)
    return found


def profiled(arguments: argparse.Namespace) -> None:
    """What nsys watches: plain launches between profiler start and stop."""
    from cuda.bindings import runtime

    with opened(CASES[arguments.profiled], arguments, cuda_graph=False) as runner:
        runner.block(WARM_SECONDS)
        lane = runner._lanes[0]
        runtime.cudaProfilerStart()
        for _ in range(PROFILED_RUNS):
            lane._launch()
        lane.stream.sync()
        runtime.cudaProfilerStop()


def print_table(found: Mapping[str, Mapping[str, float]]) -> None:
    """Times in milliseconds, then ours by each of the others."""
    columns = [*TIMERS, "kernels"]
    print(f"\n{'milliseconds':16}" + "".join(f"{name:>18}" for name in columns))
    for name, times in found.items():
        print(f"{name:16}" + "".join(_cell(times.get(column), 18) for column in columns))
    print(f"\n{'ours / ...':16}" + "".join(f"{other:>18}" for _, other in RATIOS))
    off = []
    for name, times in found.items():
        ratios = {other: times[own] / times[other] for own, other in RATIOS if other in times}
        print(f"{name:16}" + "".join(_cell(ratios.get(other), 18) for _, other in RATIOS))
        off += [f"{name} by {other}" for other, ratio in ratios.items() if abs(ratio - 1) > AGREES_WITHIN]
    print(f"\nbeyond {AGREES_WITHIN:.0%}: {', '.join(off) or 'none'}")


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{width}.4f}"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="made there where they are missing")
    parser.add_argument("--backend", default="tensorrt-rtx")
    parser.add_argument("--workspace", type=Path, default=Path(".tuner"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--cases", type=int, nargs="+", choices=range(len(CASES)), default=range(len(CASES)))
    parser.add_argument("--no-nsys", action="store_true")
    parser.add_argument("--profiled", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.profiled is not None:
        profiled(arguments)
        return
    print(heading())
    found: dict[str, dict[str, float]] = {}
    for number in arguments.cases:
        case = CASES[number]
        say(case.name)
        summed = kernels(number, arguments)
        with opened(case, arguments, cuda_graph=True) as runner:
            found[case.name] = timed(runner, arguments.turns)
        if summed is not None:
            found[case.name]["kernels"] = summed
        say(str(found[case.name]))
    with workspace_at(arguments.workspace) as workspace:
        print(subject_of_case(CASES[0], arguments, workspace).lines().splitlines()[0])
    print_table(found)


if __name__ == "__main__":
    main()
