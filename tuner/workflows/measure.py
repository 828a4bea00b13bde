"""One engine measured by itself, in a worker process, as `tuner measure` was asked to."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.backends.registry import BACKENDS
from engines.core.errors import UserError
from engines.core.values import Policy, Settings, Stage
from engines.shapes.text import parse_shapes
from engines.statistics import trtexec
from engines.worker.client import Worker
from engines.worker.protocol import EngineMeasured, MeasureEngine
from tuner.bundles.base import EngineFile
from tuner.bundles.engine_files import find_engine
from tuner.options.budget import lasting
from tuner.options.measure import MeasureOptions

# TensorRT-RTX compiles kernels when it loads; measuring comes on top
LOADING_SECONDS = 1800.0


@dataclass(frozen=True)
class Measured:
    """What came of an engine, and how it was run."""

    engine: EngineFile
    backend: str
    run: Settings
    policy: Policy
    found: EngineMeasured


def plan(options: MeasureOptions) -> tuple[EngineFile, Policy]:
    """Return the engine, its run settings as asked for, and how it will be timed; raises UserError."""
    parse_shapes(options.shapes)
    engine = find_engine(options.engine, options.backend)
    _refuse_without_device(engine, options)
    engine = replace(engine, run=_run_settings(engine, options), options=_backend_options(engine, options))
    return engine, _policy(options, int(engine.run["streams"]))


def measure(
    options: MeasureOptions, engine: EngineFile, policy: Policy, on_stage: Callable[[Stage], None]
) -> Measured:
    """Measure the engine with the first backend that can run it; raises UserError where none can."""
    refusals = []
    for backend in engine.backends:
        try:
            found = _in_worker(backend, options, engine, policy, on_stage)
        except UserError as error:
            refusals.append(error)
        else:
            run = Settings(engine.run, batch=found.measurement.batch)
            return Measured(engine, backend, run, policy, found)
    if len(refusals) == 1:
        raise refusals[0]
    raise UserError("; ".join(error.message for error in refusals), "Name the right one with --backend.")


def _in_worker(
    backend: str,
    options: MeasureOptions,
    engine: EngineFile,
    policy: Policy,
    on_stage: Callable[[Stage], None],
) -> EngineMeasured:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder)).create()
        request = MeasureEngine(
            backend=backend,
            options=engine.options,
            caches=str(workspace.caches),
            engine=str(engine.path),
            run=engine.run,
            policy=policy,
            model=engine.model,
            preferred=engine.preferred,
            shapes=parse_shapes(options.shapes),
            inputs=str(options.inputs) if options.inputs else None,
        )
        seconds = LOADING_SECONDS + 10 * (policy.warmup_seconds + policy.maximum_seconds)
        with Worker(None, workspace) as worker:
            return worker.measure_engine(request, seconds, lambda stage, _: on_stage(stage))


def _refuse_without_device(engine: EngineFile, options: MeasureOptions) -> None:
    asked = {"--cuda-graph": options.cuda_graph, "--transfers": options.transfers}
    for name, value in asked.items():
        if value and all(BACKENDS[backend].device == "cpu" for backend in engine.backends):
            raise UserError(
                f"{name} is for engines on a GPU, and {engine.backends[0]} runs on the CPU", "Leave it out."
            )


def _run_settings(engine: EngineFile, options: MeasureOptions) -> Settings:
    """Return the run settings: the engine's, then trtexec's if it is matched, then the user's."""
    changes: dict[str, int | bool] = {}
    if options.like_trtexec:
        changes = {"streams": 1, "cuda_graph": trtexec.VERSIONS[options.like_trtexec].cuda_graph}
    if options.streams is not None:
        changes["streams"] = options.streams
    if options.cuda_graph is not None:
        changes["cuda_graph"] = options.cuda_graph
    if "cuda_graph" not in engine.run:
        changes.pop("cuda_graph", None)
    return Settings({**engine.run, **changes})


def _backend_options(engine: EngineFile, options: MeasureOptions) -> Settings:
    """Return the engine's backend options, with those that load all that trtexec loads."""
    program = BACKENDS[engine.backends[0]].trtexec
    if options.like_trtexec and program is not None:
        return Settings({**program.backend_options, **engine.options})
    return engine.options


def _policy(options: MeasureOptions, streams: int) -> Policy:
    like = options.like_trtexec
    found = trtexec.policy(trtexec.VERSIONS[like], streams) if like else Policy()
    # trtexec measures in one go
    found = lasting(found, options.warm_up, options.duration, in_one_go=bool(like))
    if options.iterations is not None:
        found = replace(found, minimum_inferences=options.iterations * streams)
    if options.transfers is not None:
        found = replace(found, transfers=options.transfers)
    return replace(found, cold=options.cold)
