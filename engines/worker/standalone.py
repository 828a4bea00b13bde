"""Time or run one engine by itself: an export of `tuner export`, or a file that the backend describes.

Its outputs are not checked, and nothing is stored.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from engines.backends.base import Backend, Describes, Runner
from engines.backends.registry import open_backend
from engines.core.errors import EngineError, UserError
from engines.core.results import Block, Measurement
from engines.core.values import (
    FileRef,
    InputSource,
    ModelFacts,
    Policy,
    Shape,
    ShapeRange,
    Stage,
    TensorFacts,
    Tensors,
    Workload,
)
from engines.data import tensor_files
from engines.data.common_inputs import refuse_beyond
from engines.data.inputs import check_inputs_file, make_inputs
from engines.machine.device_lock import DeviceLock
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from engines.shapes.text import UNNAMED
from engines.trials import sampling
from engines.trials.sampling import Meter
from engines.worker.protocol import (
    DescribeEngine,
    EngineDescribed,
    EngineMeasured,
    EngineRan,
    EngineRequest,
    MeasureEngine,
    RunEngine,
)

Report = Callable[[Stage, str], None]


@dataclass(frozen=True)
class Engine:
    """An engine on the disk: its inputs, the shapes to run it at unless others are asked for, its limits.

    Both are empty where the engine has no opinion.
    """

    model: ModelFacts
    preferred: Mapping[str, Shape]
    limits: Mapping[str, ShapeRange]
    open: Callable[[Workload, Tensors, Policy], Runner]


def measure_engine(request: MeasureEngine, report: Report) -> EngineMeasured:
    """Loads the engine, warms it up and times it; raises UserError for whatever cannot be."""
    report("load", "")
    backend = open_backend(request.backend, request.options, Path(request.caches))
    machine = backend.machine()
    # first, for once this process uses the device it is one of those that disturb
    warnings = backend.warnings()
    policy = sampling.target_half_width(request.policy, machine.kind)
    with _refusing(request):
        engine = _engine(request, backend)
        workload, notes = _workload(engine, request)
        inputs = make_inputs(workload, workload.plan.batch)[0]
        with _alone(backend, report), closing(engine.open(workload, inputs, policy)) as runner:
            measurement = _measure(Meter(runner, policy, workload.plan.batch, backend.probe()), report)
            measurement = replace(measurement, device_memory_bytes=runner.device_memory_bytes)
    shapes = workload.plan.cases[0].shapes
    return EngineMeasured(measurement, machine, shapes, (*notes, *warnings))


def describe_engine(request: DescribeEngine) -> EngineDescribed:
    """What the engine takes and gives; raises UserError for one that cannot be loaded."""
    with _refusing(request):
        engine = _engine(request, open_backend(request.backend, request.options, Path(request.caches)))
    return EngineDescribed(engine.model, engine.preferred, engine.limits)


def run_engine(request: RunEngine, report: Report) -> EngineRan:
    """Runs the engine once on each batch and writes its outputs; raises UserError where it cannot."""
    report("load", "")
    batches = tensor_files.load(Path(request.inputs))
    with _refusing(request):
        backend = open_backend(request.backend, request.options, Path(request.caches))
        engine = _engine(request, backend)
        shapes, _ = resolve(engine.model, {name: values.shape for name, values in batches[0].items()})
        batch, batched = batch_of(engine.model, shapes)
        workload = Workload(engine.model, single_plan(shapes, batch), batched, InputSource())
        with _alone(backend, report), closing(engine.open(workload, batches[0], Policy())) as runner:
            report("check", "")
            outputs = [runner.infer(inputs) for inputs in batches]
    tensor_files.save(Path(request.outputs), outputs)
    return EngineRan()


@contextmanager
def _alone(backend: Backend, report: Report) -> Iterator[None]:
    """Has the device to itself, to load an engine and run it."""
    behind: list[Stage] = []

    def on_wait() -> None:
        report("wait", "")
        behind.append("load")

    with DeviceLock(backend.shared()).exclusive(on_wait):
        for stage in behind:
            report(stage, "")
        yield


@contextmanager
def _refusing(request: EngineRequest) -> Iterator[None]:
    """Turn errors of the engine into UserError."""
    try:
        yield
    except EngineError as error:
        raise UserError(
            f"{request.backend} cannot run {request.engine}: {error.message}",
            error.hint or "Check the file, and that it was made for this machine and by this version.",
        ) from error


def _engine(request: EngineRequest, backend: Backend) -> Engine:
    path = Path(request.engine)

    def opened(workload: Workload, inputs: Tensors, policy: Policy) -> Runner:
        return backend.open(path, workload, request.run, inputs, policy)

    if request.model is not None:
        return Engine(request.model, request.preferred, {}, opened)
    if not isinstance(backend, Describes):
        raise UserError(f"{request.backend} cannot run {path}", "Name the backend that made it.")
    found = backend.describe(path, request.run)
    preferred = {name: of.optimum for name, of in found.limits.items()}
    return Engine(_facts(path, found.inputs, found.outputs), preferred, found.limits, found.open)


def _facts(path: Path, inputs: tuple[TensorFacts, ...], outputs: tuple[TensorFacts, ...]) -> ModelFacts:
    """What there is to know of a model from its engine."""
    return ModelFacts(
        FileRef("", path.name, str(path)),
        inputs,
        outputs,
        opset=0,
        operators={},
        parameters=0,
        weight_bytes=0,
    )


def _workload(engine: Engine, request: MeasureEngine) -> tuple[Workload, tuple[str, ...]]:
    """The engine at the shapes asked for, and notes on what nobody asked for."""
    shapes, notes = resolve(engine.model, request.shapes)
    if engine.preferred:
        asked = request.shapes.keys()
        shapes, notes = resolve(
            engine.model,
            {
                name: of.optimum if name in asked or UNNAMED in asked else engine.preferred[name]
                for name, of in shapes.items()
            },
        )
    for name, limit in engine.limits.items():
        refuse_beyond("the engine", name, shapes[name].optimum, limit)
    batch, batched = batch_of(engine.model, shapes)
    source = InputSource()
    if request.inputs is not None:
        source = check_inputs_file(engine.model, shapes, batched, Path(request.inputs))
    return Workload(engine.model, single_plan(shapes, batch), batched, source), notes


def _measure(meter: Meter, report: Report) -> Measurement:
    """Warm-up and sampling; in one go behind a warm-up of just its length where blocks are to be as long as
    all sampling, as trtexec does it.
    """
    policy = meter.policy
    report("warm-up", "")
    if policy.block_seconds < policy.maximum_seconds:
        warmup = sampling.warm_up(meter)
        report("measure", "")
        measurement = sampling.measure(meter, warmup)
        return replace(measurement, cold=sampling.cold_blocks([meter], measurement))
    warmup = [meter.runner.block(policy.warmup_seconds)] if policy.warmup_seconds else []
    report("measure", "")
    return sampling.measurement_of(meter, tuple(_blocks(meter)), warmup)


def _blocks(meter: Meter) -> list[Block]:
    """One block; more of them only while there are too few inferences."""
    policy = meter.policy
    blocks: list[Block] = []
    count = 0
    while count < max(1, policy.minimum_inferences):
        seconds = policy.block_seconds if not blocks else 0.0
        blocks.append(sampling.timed_block(meter, seconds, meter.read())[0])
        count += len(blocks[-1].latency_ms)
    return blocks
