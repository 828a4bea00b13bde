"""Two things run on the same inputs, in worker processes, as `tuner compare` was asked to."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engines.accuracy import compare as comparing
from engines.accuracy.compare import Comparison
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import Shape, Tensors
from engines.data import tensor_files
from engines.data.common_inputs import SameInputs, Taker, as_taken, same_inputs
from engines.shapes.text import parse_shapes
from engines.worker.client import Worker
from engines.worker.protocol import (
    CompareGraphs,
    DescribeEngine,
    EngineDescribed,
    GraphsCompared,
    RunEngine,
    RunModel,
)
from tuner.bundles.base import EngineFile
from tuner.options.compare import CompareOptions
from tuner.workflows.measure import LOADING_SECONDS
from tuner.workflows.sides import Side, find_side

# every tensor of a large model, on a CPU and with nothing optimized
TENSORS_SECONDS = 24 * 3600.0

Say = Callable[[str], None]
Sides = tuple[Side, Side]


@dataclass(frozen=True)
class Result:
    """How far the second is from the first; `graphs` is None unless both are ONNX files.

    `shapes` and `batches` are those of the inputs; there are none when both are outputs already.
    """

    sides: Sides
    comparison: Comparison
    limit: float
    shapes: Mapping[str, Shape]
    batches: int
    inputs: Path | None
    graphs: GraphsCompared | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_beyond(self) -> bool:
        """Whether an output is beyond the limit, or cannot be compared."""
        return self.comparison.is_beyond(self.limit)


def compare(options: CompareOptions, say: Say) -> Result:
    """Compare the two; `say` receives progress messages. Raises UserError if they cannot be compared."""
    sides = (find_side(options.first, options.places), find_side(options.second, options.places))
    running = [side for side in sides if side.outputs is None]
    _refuse_what_makes_no_sense(options, sides)
    if not running:
        comparison = _compared(sides, [[side.outputs or {}] for side in sides])
        return Result(sides, comparison, options.limit, shapes={}, batches=1, inputs=None)
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(Path(name)).create()
        with Worker(None, workspace, "-1") as one, Worker(None, workspace, "-2") as two:
            # an engine may hold much of a GPU, and goes with its process
            workers = (one, two if any(side.engine for side in running) else one)
            runs = [
                _Run(side, worker, workspace.root / f"{place}", say)
                for place, (side, worker) in enumerate(zip(running, workers, strict=False))
            ]
            return _compare_runs(options, sides, runs)


@dataclass(frozen=True)
class _Run:
    """A side to be run: its worker, and where its files go."""

    side: Side
    worker: Worker
    files: Path
    say: Say

    @property
    def inputs(self) -> Path:
        return self.files.with_suffix(".inputs.npz")

    @property
    def outputs(self) -> Path:
        return self.files.with_suffix(".outputs.npz")


def _refuse_what_makes_no_sense(options: CompareOptions, sides: Sides) -> None:
    given = [side.name for side in sides if side.outputs is not None]
    if len(given) == 2 and (options.inputs is not None or options.shapes):
        raise UserError(
            f"{given[0]} and {given[1]} are outputs already, and nothing is run",
            "Leave --inputs and --shapes out.",
        )
    if len(given) == 1 and options.inputs is None:
        raise UserError(
            f"the inputs of the outputs in {given[0]!r} are not known", "Give them with --inputs NPZ."
        )


def _compare_runs(options: CompareOptions, sides: Sides, runs: list[_Run]) -> Result:
    described = [_described(run) for run in runs]
    takers = [taker for _, taker in described]
    inputs = same_inputs(takers, parse_shapes(options.shapes), options.inputs)
    found: dict[int, list[Tensors]] = {}
    for run, (engine, taker) in zip(runs, described, strict=True):
        tensor_files.save(run.inputs, as_taken(inputs.batches, taker.model))
        found[id(run.side)] = _outputs(run, engine)
        if engine is not None:
            run.worker.close()
    given = next((side.outputs for side in sides if side.outputs is not None), None)
    if given is not None:
        found = {key: [comparing.joined(outputs, given)] for key, outputs in found.items()}
    comparison = _compared(sides, [found.get(id(side)) or [side.outputs or {}] for side in sides])
    return Result(
        sides,
        comparison,
        options.limit,
        inputs.shapes,
        len(inputs.batches),
        options.inputs,
        _graphs(options, runs),
        (*inputs.notes, *_type_notes(takers, inputs)),
    )


def _described(run: _Run) -> tuple[EngineFile | None, Taker]:
    """Return the engine with the backend that can run it, and what the side takes."""
    side, engine = run.side, run.side.engine
    if engine is None:
        assert side.model is not None
        return None, Taker(side.name, side.model)
    if engine.model is not None:
        return engine, Taker(side.name, engine.model, engine.preferred)
    run.say(f"loading {side.name}")
    refusals = []
    for backend in engine.backends:
        request = DescribeEngine(**_about(engine, run, backend))
        try:
            found = run.worker.answer(request, f"loading {side.name}", LOADING_SECONDS)
        except UserError as error:
            refusals.append(error)
        else:
            assert isinstance(found, EngineDescribed)
            taker = Taker(side.name, found.model, found.preferred, found.limits)
            return replace(engine, backends=(backend,)), taker
    if len(refusals) == 1:
        raise refusals[0]
    raise UserError("; ".join(error.message for error in refusals), "Name the right one with --backend.")


def _about(engine: EngineFile, run: _Run, backend: str) -> dict[str, Any]:
    return {
        "backend": backend,
        "options": engine.options,
        "caches": str(run.files.parent / "caches"),
        "engine": str(engine.path),
        "run": engine.run,
        "model": engine.model,
        "preferred": engine.preferred,
    }


def _outputs(run: _Run, engine: EngineFile | None) -> list[Tensors]:
    what = f"running {run.side.name}"
    run.say(what)
    inputs, outputs = str(run.inputs), str(run.outputs)
    request: RunModel | RunEngine
    if engine is None:
        assert run.side.model is not None
        request = RunModel(run.side.model.file.where, inputs, outputs)
    else:
        request = RunEngine(**_about(engine, run, engine.backends[0]), inputs=inputs, outputs=outputs)
    run.worker.answer(request, what, LOADING_SECONDS, lambda *_: run.say(what))
    return tensor_files.load(run.outputs)


def _compared(sides: Sides, outputs: Sequence[Sequence[Tensors]]) -> Comparison:
    found = comparing.compare_outputs(outputs[0], outputs[1])
    if not found.outputs:
        said = [f"{side.name} gives {', '.join(of[0])}" for side, of in zip(sides, outputs, strict=True)]
        raise UserError(f"{said[0]}, and {said[1]}", "Only outputs of the same name can be compared.")
    return found


def _graphs(options: CompareOptions, runs: Sequence[_Run]) -> GraphsCompared | None:
    models = [run.side.model.file.where for run in runs if run.side.model is not None]
    if len(models) < 2:
        return None
    one, two = runs
    request = CompareGraphs(
        (models[0], models[1]), (str(one.inputs), str(two.inputs)), options.limit, options.to_the_end
    )
    what = "comparing tensors"
    one.say(what)
    found = one.worker.answer(
        request, what, TENSORS_SECONDS, lambda _, detail: one.say(f"{what}, {detail}" if detail else what)
    )
    assert isinstance(found, GraphsCompared)
    return found


def _type_notes(takers: Sequence[Taker], inputs: SameInputs) -> list[str]:
    """Return notes on inputs that were rounded so that both sides get the same."""
    if len(takers) < 2:
        return []
    first, second = ({facts.name: facts.dtype for facts in taker.model.inputs} for taker in takers)
    return [
        f"the input {name!r} is {first[name]} for {takers[0].name} and {second[name]} for {takers[1].name}"
        for name in inputs.shapes
        if first[name] != second[name]
    ]
