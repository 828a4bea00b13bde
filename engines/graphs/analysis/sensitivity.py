"""Rank nodes by the error of the outputs when each one alone is lowered."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from engines.accuracy import errors as accuracy
from engines.artifacts.workspace import write_file
from engines.core.errors import EngineError
from engines.core.results import NodeError
from engines.core.values import Tensors
from engines.graphs.analysis.gating import GATES, gated
from engines.graphs.passes.selection import lowerable
from engines.models.onnx_files import save
from engines.models.ort import PROVIDERS, translated


def rank(
    model: ModelProto,
    precision: str,
    batches: Sequence[Tensors],
    amax: Mapping[str, float],
    report: Callable[[str], None],
) -> tuple[NodeError, ...]:
    """Return every node that the precision lowers, the most harmful first; equal ones in execution order.

    Nodes must have names; `amax` is the range of each activation, for int8 and fp8. The model is run once for
    each node on every batch, on ONNX Runtime's CPU with nothing optimized, so a few batches are enough.
    Raises EngineError where it cannot be run.
    """
    nodes = lowerable(model, precision)
    if not nodes:
        return ()
    operators = {node.name: node.op_type for node in model.graph.node}
    report("loading the model")
    with tempfile.TemporaryDirectory() as scratch:
        session = GatedSession(gated(model, precision, amax, nodes), Path(scratch))
        references = [session.run(batch, np.zeros(len(nodes), np.bool_)) for batch in batches]
        found = []
        for place, name in enumerate(nodes):
            report(f"lowering node {place + 1} of {len(nodes)} by itself")
            gates = np.arange(len(nodes)) == place
            errors = [
                error_of(reference, session.run(batch, gates))
                for reference, batch in zip(references, batches, strict=True)
            ]
            found.append(NodeError(name, operators[name], max(errors)))
    return tuple(sorted(found, key=lambda one: -one.error))


def cached_rank(folder: Path, key: str, make: Callable[[], tuple[NodeError, ...]]) -> tuple[NodeError, ...]:
    """Return the ranking stored in the folder under this key; computed and stored if it cannot be read."""
    file = folder / f"sensitivity-{key}.json"
    found = _read(file)
    if found is None:
        found = make()
        write_file(file, json.dumps([astuple(one) for one in found]).encode())
    return found


def error_of(reference: Tensors, outputs: Tensors) -> float:
    """Return the relative L2 error of the worst output, inf if one is not finite."""
    try:
        return max((one.relative_l2 for one in accuracy.compare(reference, outputs)), default=0.0)
    except EngineError as error:
        if error.kind != "not_finite":
            raise
        return float("inf")


class GatedSession:
    """A session of a graph from `gating.gated`, loaded from a file in the folder."""

    def __init__(self, model: ModelProto, folder: Path) -> None:
        import onnxruntime as ort

        file = folder / "gated.onnx"
        save(model, file)
        options = ort.SessionOptions()
        # optimization would remove casts that lower and raise again
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        # packing would copy the weights for each branch
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.log_severity_level = 3
        self._session: Any = translated(lambda: ort.InferenceSession(file, options, providers=PROVIDERS))
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, batch: Tensors, gates: NDArray[np.bool_]) -> Tensors:
        """Return the outputs with the nodes lowered whose gates are true."""
        feed = {**batch, GATES: gates}
        return dict(zip(self._names, translated(lambda: self._session.run(None, feed)), strict=True))


def _read(file: Path) -> tuple[NodeError, ...] | None:
    try:
        rows = json.loads(file.read_bytes())
        return tuple(NodeError(str(node), str(operator), float(error)) for node, operator, error in rows)
    except (OSError, ValueError, TypeError):
        return None
