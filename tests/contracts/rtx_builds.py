"""Builds of TensorRT-RTX, of the example models at shapes that every choice is built at."""

from collections.abc import Mapping

from engines.artifacts.store import make_engine, make_graph
from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend
from engines.core.results import Artifact
from engines.core.values import Dimension, Shape, Value, Workload
from studies.core.space import candidate_at

EXAMPLES: Mapping[str, dict[str, Shape]] = {
    "residual_cnn": {"images": (2, 3, 64, 64)},
    "transformer": {"input_ids": (2, 32), "attention_mask": (2, 32)},
    "mixed_types": {"features": (2, 16), "categories": (2, 4), "gate": (2, 16)},
    "mlp": {"features": (2, 64)},
}


def build(backend: Backend, workload: Workload, workspace: Workspace, **chosen: Value) -> Artifact:
    """The engine of the baseline but for what is chosen."""
    dimensions = backend.dimensions(workload, True)
    candidate = candidate_at(dimensions, {**defaults(dimensions), **chosen})
    graph = make_graph(backend, workload, candidate.graph, workspace)
    return make_engine(backend, workload, candidate, workspace, graph)[0]


def defaults(dimensions: tuple[Dimension, ...]) -> dict[str, Value]:
    return {dimension.name: dimension.default for dimension in dimensions}
