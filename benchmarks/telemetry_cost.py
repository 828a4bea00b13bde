"""What reading the machine between blocks costs, and whether it changes what is measured.

    python -m benchmarks.telemetry_cost [MODEL --shapes input:8x3x224x224] [--backend tensorrt-rtx]

Queries are timed one by one, each right behind a block as in a measurement. Then blocks of the same engine
with readings around them and without any follow each other in random order; the ratio of their medians has
its 95 % interval from a bootstrap over the pairs.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs import heading, model, verdict
from engines.artifacts.store import make_engine, make_graph
from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend, Runner, choose_backend, open_backend
from engines.core.values import InputSource, Policy, Settings, Workload
from engines.data.inputs import make_inputs
from engines.machine.gpu import has_gpu
from engines.machine.telemetry import Probe
from engines.models.read import read_model
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from engines.shapes.text import parse_shapes
from studies.core.space import baseline_of

BLOCK_SECONDS = 0.1
LIMIT = 0.001
REPEATS = 30
RESAMPLED = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--shapes", action="append", default=[])
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--pairs", type=int, default=50)
    arguments = parser.parse_args()
    print(heading())
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder)).create()
        backend = open_backend(choose_backend(arguments.backend, has_gpu)[0], Settings(), workspace.caches)
        machine = backend.machine()
        print(f"backend   {backend.name} on {machine.processor}, driver {machine.driver}\n")
        path = Path(arguments.model) if arguments.model else model(Path(folder))
        with opened(backend, workload_of(path, arguments.shapes), workspace) as runner:
            runner.block(1.0)
            whole = print_costs(runner, backend.probe())
            print_ratio(runner, backend.probe(), arguments.pairs)
    share = whole / BLOCK_SECONDS
    print(verdict(share < LIMIT, f"a reading takes less than {LIMIT:.1%} of a block of {BLOCK_SECONDS} s"))


def workload_of(path: Path, shapes: list[str]) -> Workload:
    found = read_model(path)
    resolved, _ = resolve(found, parse_shapes(shapes), {}, {}, {})
    batch, batched = batch_of(found, resolved)
    return Workload(found, single_plan(resolved, batch), batched, InputSource())


@contextmanager
def opened(backend: Backend, workload: Workload, workspace: Workspace) -> Iterator[Runner]:
    """A runner of the baseline."""
    candidate = baseline_of(backend.dimensions(workload, False))
    graph = make_graph(backend, workload, candidate.graph, workspace)
    _, folder = make_engine(backend, workload, candidate, workspace, graph)
    inputs = make_inputs(workload, workload.plan.batch)[0]
    runner = backend.open(folder, workload, candidate.run, inputs, Policy())
    try:
        yield runner
    finally:
        runner.close()


def print_costs(runner: Runner, probe: Probe) -> float:
    """A line for each query and one for a reading, whose seconds it gives."""
    probe.read()
    print(f"{'query':20} {'median us':>10} {'p90 us':>8} {'of a block':>11}")
    queries: Mapping[str, Callable[[], object]] = {**queries_of(probe), "a reading": probe.read}
    seconds = 0.0
    for name, query in queries.items():
        times = [_timed_behind_a_block(runner, query) for _ in range(REPEATS)]
        seconds = float(np.median(times))
        worst = float(np.percentile(times, 90))
        print(f"{name:20} {seconds * 1e6:10.1f} {worst * 1e6:8.1f} {seconds / BLOCK_SECONDS:11.4%}")
    print()
    return seconds


def queries_of(probe: Any) -> Mapping[str, Callable[[], object]]:
    """The parts of a reading, where it has any."""
    parts = (getattr(probe, part, {}) for part in ("states", "counters", "reasons"))
    return {name: query for part in parts for name, query in part.items()}


def _timed_behind_a_block(runner: Runner, query: Callable[[], object]) -> float:
    runner.block(BLOCK_SECONDS / 10)
    start = time.perf_counter()
    query()
    return time.perf_counter() - start


def print_ratio(runner: Runner, probe: Probe, pairs: int) -> None:
    found: dict[bool, list[float]] = {True: [], False: []}
    order = random.Random(0)
    for _ in range(pairs):
        for reads in order.sample([True, False], 2):
            if reads:
                probe.read()
            block = runner.block(BLOCK_SECONDS)
            if reads:
                probe.read()
            found[reads].append(float(np.median(block.latency_ms)))
    logs = np.log(found[True]) - np.log(found[False])
    means = np.random.default_rng(0).choice(logs, (RESAMPLED, pairs)).mean(axis=1)
    low, middle, high = np.exp([np.percentile(means, 2.5), logs.mean(), np.percentile(means, 97.5)])
    print(f"median with readings between blocks / without, {pairs} pairs of blocks of {BLOCK_SECONDS} s:")
    print(f"{middle:.5f} ({low:.5f} to {high:.5f})\n")


if __name__ == "__main__":
    main()
