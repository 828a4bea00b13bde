"""Our timer against a plain loop of CUDA events and against the time in which nsys sees kernels run.

    python -m benchmarks.timer MODEL --shapes input:32x3x224x224 [--backend tensorrt-rtx]

The kernels are those of a run under nsys where it is installed; that run is not timed otherwise.
"""

import argparse
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs import heading
from engines.artifacts import make_engine, make_graph
from engines.backends import open_backend
from engines.inputs import make_inputs
from engines.model import read_model
from engines.shape_text import parse_shapes
from engines.shapes import batch_of, resolve
from engines.values import InputSource, Settings, Workload
from engines.workspace import Workspace
from studies.space import baseline_of, candidate_at

PROFILED_RUNS = 200
PRECISIONS = ("tf32", "fp16")


@contextmanager
def opened(arguments: argparse.Namespace, precision: str, **run: Any) -> Iterator[Any]:
    """A runner of the static engine at the shapes, which the workspace keeps."""
    workspace = Workspace(Path(arguments.workspace)).create()
    backend = open_backend(arguments.backend, Settings(), workspace.caches)
    model = read_model(Path(arguments.model))
    shapes, _ = resolve(model, parse_shapes([arguments.shapes]), {}, {}, {})
    batch, batched = batch_of(model, shapes)
    workload = Workload(model, shapes, batch, batched, InputSource())
    dimensions = backend.dimensions(workload, False)
    settings = {**baseline_of(dimensions).settings, "precision": precision, "profile": "static", **run}
    candidate = candidate_at(dimensions, settings)
    graph = make_graph(backend, workload, candidate.graph, workspace)
    _, folder = make_engine(backend, workload, candidate, workspace, graph)
    runner = backend.open(folder, workload, candidate.run, make_inputs(workload, batch)[0])
    try:
        yield runner
    finally:
        runner.close()


def ours(runner: Any) -> float:
    """The median of ten blocks, in milliseconds."""
    runner.block(0.5)
    return float(np.median(np.concatenate([runner.block(0.2).latency_ms for _ in range(10)])))


def plain(runner: Any, runs: int = 400) -> float:
    """One pair of events around many launches, in milliseconds a launch."""
    from cuda.core import Device

    from engines.backends.tensorrt.lane import TIMED

    lane, device = runner._lanes[0], Device()
    start, end = device.create_event(options=TIMED), device.create_event(options=TIMED)
    found = []
    for _ in range(5):
        lane.stream.record(start)
        for _ in range(runs):
            lane._launch()
        lane.stream.record(end)
        end.sync()
        found.append((end - start) / runs)
    return float(np.median(found))


def kernels(arguments: argparse.Namespace, precision: str) -> float | None:
    """Milliseconds in which kernels of one inference run, by nsys; None where there is no nsys."""
    if shutil.which("nsys") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        command = ["nsys", "profile", "-t", "cuda,nvtx", "--sample=none", "--cpuctxsw=none"]
        command += ["--capture-range=cudaProfilerApi", "--capture-range-end=stop", "-o", str(report)]
        command += [sys.executable, "-m", "benchmarks.timer", arguments.model, "--shapes", arguments.shapes]
        command += [
            "--backend",
            arguments.backend,
            "--workspace",
            arguments.workspace,
            "--profiled",
            precision,
        ]
        subprocess.run(command, check=True, capture_output=True)
        export = ["nsys", "export", "--type", "sqlite", "-o", f"{report}.sqlite", f"{report}.nsys-rep"]
        subprocess.run(export, check=True, capture_output=True)
        with sqlite3.connect(f"{report}.sqlite") as database:
            query = "SELECT start, end FROM CUPTI_ACTIVITY_KIND_KERNEL ORDER BY start"
            spans = database.execute(query).fetchall()
    return _busy(spans) / 1e6 / PROFILED_RUNS


def _busy(spans: list[tuple[int, int]]) -> int:
    """The time in which at least one kernel ran: kernels may overlap, so their sum counts time twice."""
    busy, until = 0, 0
    for start, end in spans:
        busy += max(0, end - max(start, until))
        until = max(until, end)
    return busy


def profiled(arguments: argparse.Namespace) -> None:
    """What nsys watches: plain launches between profiler start and stop."""
    from cuda.bindings import runtime

    with opened(arguments, arguments.profiled) as runner:
        runner.block(2.0)
        lane = runner._lanes[0]
        runtime.cudaProfilerStart()
        for _ in range(PROFILED_RUNS):
            lane._launch()
        lane.stream.sync()
        runtime.cudaProfilerStop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--shapes", required=True)
    parser.add_argument("--backend", default="tensorrt-rtx")
    parser.add_argument("--workspace", default=".tuner")
    parser.add_argument("--profiled", choices=PRECISIONS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.profiled:
        profiled(arguments)
        return
    print(heading())
    machine = open_backend(arguments.backend, Settings(), Path(tempfile.gettempdir())).machine()
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    print(f"gpu       {machine.processor}, driver {machine.driver}, {libraries}\n")
    print(
        f"{'precision':10} {'launch':8} {'ours ms':>9} {'plain ms':>9} {'kernels ms':>11} {'ours/plain':>11}"
    )
    for precision in PRECISIONS:
        summed = kernels(arguments, precision)
        for cuda_graph in (False, True):
            with opened(arguments, precision, cuda_graph=cuda_graph) as runner:
                mine, looped = ours(runner), plain(runner)
            launch = "graph" if cuda_graph else "enqueue"
            shown = f"{summed:11.4f}" if summed is not None else f"{'no nsys':>11}"
            print(f"{precision:10} {launch:8} {mine:9.4f} {looped:9.4f} {shown} {mine / looped:11.4f}")


if __name__ == "__main__":
    main()
