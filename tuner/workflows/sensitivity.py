"""`tuner sensitivity`: which nodes of a model hurt when they are lowered; no backend is needed for it."""

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import NodeError
from engines.core.values import InputSource, Settings, Workload
from engines.data.calibration import parse_calibration
from engines.data.inputs_file import check_inputs_file
from engines.models.read import read_model
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from engines.shapes.text import parse_shapes
from engines.worker.client import Worker
from engines.worker.questions import rank_nodes
from tuner.documents.base import SCHEMA, finite
from tuner.documents.commands import RankedNode, Ranking
from tuner.options.output_files import CHART, check_output
from tuner.options.sensitivity import SensitivityOptions

if TYPE_CHECKING:
    from dashboards.charts.sensitivity import Sensitivity
    from studies.run.interfaces import Observer

CHECK_THE_FILE = "Check the file with onnx.checker, and --shapes and --inputs."
RANDOM = "no data is given, so the errors are those of random inputs: give real ones with --inputs"


@dataclass(frozen=True)
class Ranked:
    """The nodes that the precision would lower, the most hurtful first; `nodes` has one at least."""

    workload: Workload
    precision: str
    nodes: tuple[NodeError, ...]


def rank(options: SensitivityOptions, watcher: "Observer") -> Ranked:
    """Rank the nodes; raises UserError for what the user must fix, and where nothing can be ranked."""
    if options.output is not None:
        check_output(options.output, CHART, (options.model, options.inputs))
    watcher.preparing("reading the model")
    workload, notes = _workload(options)
    for note in notes:
        watcher.note(note)
    _require_float(workload)
    if workload.calibration is None and workload.inputs.is_random:
        watcher.note(RANDOM)
    nodes = _ranked(workload, options.precision, watcher)
    if not nodes:
        raise UserError(
            f"the model has no nodes that {options.precision} would lower", "Choose another --precision."
        )
    return Ranked(workload, options.precision, nodes)


def ranking_document(ranked: Ranked) -> Ranking:
    """Return the ranking as a document; an error that is not finite is None."""
    nodes = [
        RankedNode(
            rank=place,
            node=one.node,
            operator=one.operator,
            error=finite(one.error),
            finite=math.isfinite(one.error),
        )
        for place, one in enumerate(ranked.nodes, 1)
    ]
    model = ranked.workload.model
    return Ranking(
        schema=SCHEMA, model=model.file.where, digest=model.digest, precision=ranked.precision, nodes=nodes
    )


def chart(ranked: Ranked, top: int) -> "Sensitivity":
    """Return what the chart shows."""
    from dashboards.charts.sensitivity import Sensitivity

    return Sensitivity(ranked.workload.model.file.name, ranked.precision, ranked.nodes, top)


def _workload(options: SensitivityOptions) -> tuple[Workload, tuple[str, ...]]:
    model = read_model(options.model)
    shapes, notes = resolve(model, parse_shapes(options.shapes))
    batch, batched = batch_of(model, shapes)
    inputs, calibration = InputSource(), None
    if options.inputs is not None:
        inputs = check_inputs_file(model, shapes, batched, options.inputs)
    if options.calibration is not None:
        calibration = parse_calibration(options.calibration, model, shapes, batched, Path.cwd())
    workload = Workload(model, single_plan(shapes, batch), batched, inputs, calibration)
    return workload, notes


def _require_float(workload: Workload) -> None:
    from engines.models.given_precision import arrived_as

    how = arrived_as(workload.model, workload.model.file.path)
    if how is not None:
        raise UserError(f"the model is {how} already, so nothing of it is lowered", "Give the model in FP32.")


def _ranked(workload: Workload, precision: str, watcher: "Observer") -> tuple[NodeError, ...]:
    """Rank the nodes as a search does, and keep nothing."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder)).create()
        with Worker(None, workspace) as worker:
            settings = Settings(precision=precision)
            return rank_nodes(worker, workload, settings, workspace.caches, watcher.preparing, CHECK_THE_FILE)
