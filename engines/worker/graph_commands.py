"""Answer requests about ONNX files: run one, compare two tensor by tensor, or rank nodes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from engines.accuracy.compare import NodeCompared
from engines.core.errors import EngineError, UserError
from engines.core.values import Stage
from engines.data import tensor_files
from engines.data.calibration import check_calibration
from engines.graphs import recipe
from engines.graphs.analysis.side_by_side import pairs, side_by_side
from engines.graphs.analysis.taps import TappedGraph
from engines.graphs.context import GraphContext
from engines.worker.protocol import (
    AboutGraphs,
    CompareGraphs,
    EngineRan,
    GraphsCompared,
    NodesRanked,
    RankNodes,
    RunModel,
)

Report = Callable[[Stage, str], None]


def answer(request: AboutGraphs, report: Report) -> EngineRan | GraphsCompared | NodesRanked:
    """Raises UserError for a file that ONNX Runtime cannot run."""
    match request:
        case RunModel():
            return _run(request, report)
        case CompareGraphs():
            return _compare(request, report)
    return _rank(request, report)


def _run(request: RunModel, report: Report) -> EngineRan:
    report("check", "")
    with _refusing(request.model):
        outputs = TappedGraph(Path(request.model)).run(tensor_files.load(Path(request.inputs)))
    tensor_files.save(Path(request.outputs), outputs)
    return EngineRan()


def _compare(request: CompareGraphs, report: Report) -> GraphsCompared:
    report("load", "")
    batches = [tensor_files.load(Path(file)) for file in request.inputs]
    seen: list[NodeCompared] = []
    with _refusing(" or ".join(request.models)):
        first, second = (TappedGraph(Path(model)) for model in request.models)
        found = side_by_side(first, second, (batches[0], batches[1]), lambda text: report("check", text))
        for node in found:
            seen.append(node)
            if node.compared.is_beyond(request.limit) and not request.to_the_end:
                break
    return GraphsCompared(tuple(seen), common=len(pairs(first, second)))


def _rank(request: RankNodes, report: Report) -> NodesRanked:
    """As a search ranks them."""
    check_calibration(request.workload)
    caches, detail = Path(request.caches), partial(report, "graph")
    context = GraphContext(request.workload, request.settings, caches, detail)
    try:
        found = recipe.ranking(context, recipe.prepared(context))
    except EngineError as error:
        raise UserError(f"the nodes cannot be ranked: {error.message}", error.hint or request.hint) from error
    return NodesRanked(
        tuple(one.node for one in found),
        tuple(one.operator for one in found),
        np.array([one.error for one in found]),
    )


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise UserError(
            f"ONNX Runtime cannot run {what}: {error.message}",
            error.hint or _hint(error.message),
        ) from error


def _hint(message: str) -> str:
    if "bfloat16" in message or "Could not find an implementation" in message:
        return "Its CPU lacks some types, such as bfloat16: compare an engine that was built from the file."
    return "Check the file with onnx.checker, and --shapes and --inputs."
