"""Graphs and engines by digest: made once, then found again, in this study or the next."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from engines.artifacts.workspace import Workspace, folder_bytes, new_folder
from engines.backends.base import Backend, Detail
from engines.core.errors import EngineError
from engines.core.results import Artifact
from engines.core.values import Candidate, Settings, Value, Workload
from engines.core.wire import digest, from_json, to_json

GRAPH = "graph.onnx"
FACTS = "facts.json"
PROBE_BYTES = 1 << 16


def _ignore(_: str) -> None:
    """Details that nobody watches."""


def make_graph(
    backend: Backend,
    workload: Workload,
    settings: Settings,
    workspace: Workspace,
    report: Detail = _ignore,
) -> tuple[Artifact, Path]:
    """The graph derived from the model, and its file; the model itself where nothing is to be derived."""
    maker = backend.graphs(workload)
    key = maker.key(settings)
    model = Path(workload.model.path)
    if key is None:
        size = model.stat().st_size
        return Artifact(workload.model.digest, size, seconds=0.0, reused=True), model
    name = digest(workload.model.digest, settings, key)
    folder = workspace.graphs / name
    artifact = _make(name, folder, lambda new: maker.make(settings, new / GRAPH, report), backend.clock)
    return artifact, folder / GRAPH


def make_engine(
    backend: Backend,
    workload: Workload,
    candidate: Candidate,
    workspace: Workspace,
    graph: tuple[Artifact, Path],
    report: Detail = _ignore,
) -> tuple[Artifact, Path]:
    """The engine built from a graph, and its folder."""
    made, file = graph
    name = engine_digest(backend, workload, candidate, made.digest)
    folder = workspace.engines / name
    artifact = _make(
        name, folder, lambda new: backend.build(file, workload, candidate, new, report), backend.clock
    )
    return artifact, folder


def engine_digest(backend: Backend, workload: Workload, candidate: Candidate, graph_digest: str) -> str:
    """The name of an engine: a function of graph, build settings and machine."""
    return digest(graph_digest, backend.name, candidate.build, backend.engine_key(workload, candidate))


def discard(workspace: Workspace, engine: Artifact) -> None:
    """Removes an engine that turned out to be spoiled."""
    shutil.rmtree(workspace.engines / engine.digest, ignore_errors=True)


def _make(
    name: str, folder: Path, make: Callable[[Path], Mapping[str, Value]], clock: Callable[[], float]
) -> Artifact:
    found = _find(name, folder)
    if found is not None:
        return found
    start = clock()
    with new_folder(folder) as new:
        try:
            facts = make(new)
        except EngineError:
            # vendors report a full disk in words of their own, and that is no fault of the candidate
            _require_space(new)
            raise
        seconds = clock() - start
        # how long it took belongs to the artifact, so that whoever reuses it knows
        facts = {"build_seconds": seconds, **facts, "size_bytes": folder_bytes(new)}
        (new / FACTS).write_bytes(to_json(facts))
    return Artifact(name, int(facts.pop("size_bytes")), seconds, reused=False, facts=facts)


def _require_space(folder: Path) -> None:
    """Raises OSError when the disk is full."""
    with (folder / "probe").open("wb") as probe:
        probe.write(b"\0" * PROBE_BYTES)
        probe.flush()
        os.fsync(probe.fileno())


def _find(name: str, folder: Path) -> Artifact | None:
    """What was made before; None, and nothing left of it, where a crash of the system cut it short."""
    if not folder.is_dir():
        return None
    try:
        facts = from_json((folder / FACTS).read_bytes(), dict[str, Value])
        size = int(facts.pop("size_bytes"))
        if size == folder_bytes(folder) - (folder / FACTS).stat().st_size:
            return Artifact(name, size, seconds=0.0, reused=True, facts=facts)
    except (OSError, KeyError, msgspec.DecodeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None
