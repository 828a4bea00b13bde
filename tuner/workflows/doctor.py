"""`tuner doctor`: what makes this machine noisy, and how small a difference it can tell apart now.

The A/A self-test measures the baseline again and again through a worker, as a study measures candidates.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.artifacts.workspace import Workspace
from engines.backends.registry import BACKENDS
from engines.core.errors import UserError
from engines.core.results import Block, Evaluation
from engines.core.values import Candidate, Machine
from engines.machine import host_conditions
from engines.machine.conditions import Condition, in_test
from engines.machine.host_conditions import Host
from engines.statistics.estimates import Estimate
from engines.worker import questions
from engines.worker.client import Worker
from engines.worker.protocol import Open
from studies.belief.noise import Noise, noise_of
from studies.core.metrics import DEFAULT_OBJECTIVE, METRICS
from studies.setup.request import Request
from studies.setup.spec import Question, settle, specify
from tuner.documents import base as documents
from tuner.documents import commands
from tuner.documents.base import made
from tuner.options.doctor import DoctorOptions

if TYPE_CHECKING:
    from studies.run.interfaces import Observer

METRIC = DEFAULT_OBJECTIVE
# in which others are watched while we do nothing
IDLE_SECONDS = 0.5
# of one run, in which the first builds the engine
LONGEST_RUN_SECONDS = 1800.0
# of the network that is made where no model is given
BATCH, WIDTH, LAYERS = 64, 512, 6


@dataclass(frozen=True)
class SelfTest:
    """The same engine measured as if it were different candidates; `seconds` is what a run timed."""

    machine: Machine
    backend: str
    values: tuple[Estimate, ...]
    seconds: float
    noise: Noise


@dataclass(frozen=True)
class Diagnosis:
    """What was found; `test` is None where nothing was measured."""

    model: Path | None
    conditions: tuple[Condition, ...]
    test: SelfTest | None


def diagnose(options: DoctorOptions, watcher: "Observer", host: Host) -> Diagnosis:
    """Look at the machine, then measures it; raises UserError for what the user must fix."""
    with _workspace(options) as workspace:
        watcher.preparing("reading the model")
        model = options.model or save_tiny_model(workspace.caches / "tiny.onnx")
        request = Request(model, options.backend, shapes=options.shapes, inputs=options.inputs)
        question = settle(request, workspace)
        for note in question.notes:
            watcher.note(note)
        watcher.preparing("looking at the machine")
        # before a worker uses the machine: later its work could not be told from that of others
        found = (*host_conditions.states(host), *_while_idle(host), *_gpu(question.backend, workspace))
        if not options.runs:
            return Diagnosis(options.model, found, None)
        before = host_conditions.counters(host)
        test, blocks = _self_test(question, workspace, options.runs, watcher)
        lost = host_conditions.while_busy(before, host_conditions.counters(host))
    return Diagnosis(options.model, (*found, *lost, *in_test(blocks, test.machine.kind == "cpu")), test)


def diagnosis_document(diagnosis: Diagnosis) -> commands.Diagnosis:
    """Return the diagnosis as a document."""
    return commands.Diagnosis(
        schema=documents.SCHEMA,
        model=str(diagnosis.model) if diagnosis.model else None,
        conditions=[made(commands.Condition, condition) for condition in diagnosis.conditions],
        self_test=_test_document(diagnosis.test) if diagnosis.test else None,
    )


@contextmanager
def _workspace(options: DoctorOptions) -> Iterator[Workspace]:
    if options.workspace is not None:
        yield Workspace(options.workspace).create()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Workspace(Path(folder)).create()


def _while_idle(host: Host) -> tuple[Condition, ...]:
    before = host_conditions.counters(host)
    time.sleep(IDLE_SECONDS)
    return host_conditions.while_idle(before, host_conditions.counters(host))


def _gpu(backend: Open, workspace: Workspace) -> tuple[Condition, ...]:
    """Return the GPU that is measured, or the first one if another backend is measured."""
    if BACKENDS[backend.backend].needs_gpu:
        return questions.gpu_conditions(workspace, int(backend.options.get("device", 0)))
    if not questions.has_gpu(workspace):
        return ()
    try:
        return questions.gpu_conditions(workspace, 0)
    except UserError as error:
        return (Condition("GPU", "unknown", error.message, error.hint),)


def _self_test(
    question: Question, workspace: Workspace, runs: int, watcher: "Observer"
) -> tuple[SelfTest, list[Block]]:
    """Run the self-test; return it with every block timed in it."""
    watcher.preparing(f"starting the backend {question.backend.backend}")
    with Worker(question.backend, workspace) as worker:
        spec, _ = specify(question, worker.open())
        _prepare(worker, question, watcher)
        watcher.note(f"measuring the same engine {runs} times")
        evaluations = [
            _measure(worker, spec.baseline, f"self-test: measuring the same engine, {run} of {runs}", watcher)
            for run in range(1, runs + 1)
        ]
    values = tuple(value for one in evaluations if (value := METRICS[METRIC].of(one)))
    noise = noise_of(values)
    if noise is None:
        raise UserError("the runs have no times to compare", "Measure another model.")
    blocks = [_blocks(one) for one in evaluations]
    seconds = statistics.median(sum(block.span_seconds for block in run) for run in blocks)
    return SelfTest(spec.machine, spec.backend, values, seconds, noise), list(chain.from_iterable(blocks))


def _prepare(worker: Worker, question: Question, watcher: "Observer") -> None:
    what = "computing the reference outputs"
    watcher.preparing(what)
    worker.prepare(question.workload.plan.batch, lambda *_: watcher.preparing(what))


def _measure(worker: Worker, baseline: Candidate, what: str, watcher: "Observer") -> Evaluation:
    """Measure the baseline once more; raises UserError if it fails."""
    watcher.preparing(what)
    found = worker.evaluate(baseline, LONGEST_RUN_SECONDS, lambda *_: watcher.preparing(what))
    if found.failure is not None:
        raise UserError(
            f"the baseline fails at {found.failure.stage}: {found.failure.message}",
            found.failure.hint or "tuner search MODEL --trials 1 keeps its log.",
        )
    return found


def _blocks(evaluation: Evaluation) -> tuple[Block, ...]:
    measurement = evaluation.measurement
    return (*measurement.blocks, *measurement.discarded) if measurement else ()


def _test_document(test: SelfTest) -> commands.SelfTest:
    return commands.SelfTest(
        metric=METRIC,
        backend=test.backend,
        machine=made(documents.Machine, test.machine),
        values=[documents.estimate_of(value) for value in test.values],
        seconds=test.seconds,
        spread=test.noise.spread,
        detectable=test.noise.detectable,
    )


def save_tiny_model(path: Path) -> Path:
    """Write a few matrix products with nonlinearities between, the same bytes on every run.

    It has 6 MiB, and 100 million multiplications.
    """
    random = np.random.default_rng(0)
    shape, scale = (WIDTH, WIDTH), (2 / WIDTH) ** 0.5
    weights = [
        numpy_helper.from_array((random.normal(size=shape) * scale).astype(np.float32), f"weight_{layer}")
        for layer in range(LAYERS)
    ]
    nodes = []
    for layer in range(LAYERS):
        product = helper.make_node("MatMul", [f"value_{layer}", f"weight_{layer}"], [f"product_{layer}"])
        nodes += [product, helper.make_node("Relu", [f"product_{layer}"], [f"value_{layer + 1}"])]
    size = [BATCH, WIDTH]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("value_0", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info(f"value_{LAYERS}", TensorProto.FLOAT, size)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
