"""Make graphs and engines once and find them by digest, in this study or another."""

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
    """Ignore details."""


def make_graph(
    backend: Backend,
    workload: Workload,
    settings: Settings,
    workspace: Workspace,
    report: Detail = _ignore,
) -> tuple[Artifact, Path]:
    """Return the graph derived from the model, and its file; the model itself if nothing changes."""
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
    """Return the engine built from a graph, and its folder."""
    made, file = graph
    name = engine_digest(backend, workload, candidate, made.digest)
    folder = workspace.engines / name
    artifact = _make(
        name, folder, lambda new: backend.build(file, workload, candidate, new, report), backend.clock
    )
    return artifact, folder


def engine_digest(backend: Backend, workload: Workload, candidate: Candidate, graph_digest: str) -> str:
    """Return the digest of an engine, from graph, build settings and machine."""
    return digest(graph_digest, backend.name, candidate.build, backend.engine_key(workload, candidate))


def discard(workspace: Workspace, engine: Artifact) -> None:
    """Remove a damaged engine."""
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
            # vendors report a full disk in different ways, and the candidate is not at fault
            _require_space(new)
            raise
        seconds = clock() - start
        # the time it took is stored with the artifact, for those who reuse it
        facts = {"build_seconds": seconds, **facts, "size_bytes": folder_bytes(new)}
        (new / FACTS).write_bytes(to_json(facts))
    return Artifact(name, int(facts.pop("size_bytes")), seconds, reused=False, facts=facts)


def _require_space(folder: Path) -> None:
    """Raise OSError if the disk is full."""
    with (folder / "probe").open("wb") as probe:
        probe.write(b"\0" * PROBE_BYTES)
        probe.flush()
        os.fsync(probe.fileno())


def _find(name: str, folder: Path) -> Artifact | None:
    """Return an artifact made before; if a crash of the system truncated it, remove it and return None."""
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
