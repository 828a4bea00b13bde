"""Graphs and engines by digest: made once, then found again, in this study or the next."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from engines.backends.base import Backend
from engines.values import Artifact, Settings, Value, Workload
from engines.wire import digest, from_json, to_json
from engines.workspace import Workspace, folder_bytes, new_folder

GRAPH = "graph.onnx"
FACTS = "facts.json"


def make_graph(
    backend: Backend, workload: Workload, settings: Settings, workspace: Workspace
) -> tuple[Artifact, Path]:
    """The graph derived from the model, and its file; the model itself where nothing is to be derived."""
    key = backend.graph_key(workload, settings)
    model = Path(workload.model.path)
    if key is None:
        size = model.stat().st_size
        return Artifact(workload.model.digest, size, seconds=0.0, reused=True), model
    name = digest(workload.model.digest, settings, key)
    folder = workspace.graphs / name
    artifact = _make(name, folder, lambda new: backend.make_graph(workload, settings, new / GRAPH))
    return artifact, folder / GRAPH


def make_engine(
    backend: Backend,
    workload: Workload,
    settings: Settings,
    workspace: Workspace,
    graph: tuple[Artifact, Path],
) -> tuple[Artifact, Path]:
    """The engine built from a graph, and its folder."""
    made, file = graph
    name = engine_digest(backend, workload, settings, made.digest)
    folder = workspace.engines / name
    return _make(name, folder, lambda new: backend.build(file, workload, settings, new)), folder


def engine_digest(backend: Backend, workload: Workload, settings: Settings, graph_digest: str) -> str:
    """The name of an engine: a function of graph, build settings and machine."""
    return digest(graph_digest, backend.name, settings, backend.engine_key(workload))


def _make(name: str, folder: Path, make: Callable[[Path], Mapping[str, Value]]) -> Artifact:
    if folder.is_dir():
        return _read(name, folder, seconds=0.0, reused=True)
    start = time.perf_counter()
    with new_folder(folder) as new:
        facts = make(new)
        seconds = time.perf_counter() - start
        # how long it took belongs to the artifact, so that whoever reuses it knows
        (new / FACTS).write_bytes(to_json({"build_seconds": seconds, **facts}))
    return _read(name, folder, seconds, reused=False)


def _read(name: str, folder: Path, seconds: float, reused: bool) -> Artifact:
    facts = from_json((folder / FACTS).read_bytes(), dict[str, Value])
    size = folder_bytes(folder) - (folder / FACTS).stat().st_size
    return Artifact(name, size, seconds, reused, facts)
