"""Make graphs and engines once and find them by digest, in this study or another."""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from engines.artifacts.files import keep_together
from engines.artifacts.workspace import Workspace, folder_bytes, new_folder
from engines.backends.base import Backend, Detail
from engines.core.errors import EngineError
from engines.core.results import Artifact
from engines.core.values import Candidate, FileRef, Settings, Value, Workload
from engines.core.wire import digest, from_json, to_json

GRAPH = "graph.onnx"
FACTS = "facts.json"
PROBE_BYTES = 1 << 16

# fills an empty folder, and gives facts worth keeping
Maker = Callable[[Path], Mapping[str, Value]]


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
    model = workload.model.file.path
    if key is None:
        size = model.stat().st_size
        return Artifact(workload.model.digest, size, seconds=0.0, reused=True), model
    name = digest(workload.model.digest, settings, key)
    store = LocalStore(workspace.graphs, backend.clock)
    artifact = store.make(name, lambda new: maker.make(settings, new / GRAPH, report))
    return artifact, store.fetch(name) / GRAPH


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
    store = LocalStore(workspace.engines, backend.clock)
    artifact = store.make(name, lambda new: backend.build(file, workload, candidate, new, report))
    return artifact, store.fetch(name)


def engine_digest(backend: Backend, workload: Workload, candidate: Candidate, graph_digest: str) -> str:
    """Return the digest of an engine, from graph, build settings and machine."""
    return digest(graph_digest, backend.name, candidate.build, backend.engine_key(workload, candidate))


def discard(workspace: Workspace, engine: Artifact) -> None:
    """Remove a damaged engine."""
    shutil.rmtree(workspace.engines / engine.digest, ignore_errors=True)


class ArtifactStore(Protocol):
    """Keeps folders by digest; a folder that is there is whole."""

    def find(self, digest: str) -> Artifact | None:
        """What was made under the digest; None where nothing was, or it is spoiled."""

    def fetch(self, digest: str) -> Path:
        """The folder of what was found or made."""

    def make(self, digest: str, maker: Maker) -> Artifact:
        """What was made under the digest before, or else is made now."""

    def add_file(self, path: Path, digest: str, parts: Mapping[str, Path] | None = None) -> FileRef:
        """Keeps a file of that digest; `parts` are all the files to keep, by name, where it is not one alone.

        Raises OSError where it cannot be read or there is no room for it.
        """


class LocalStore:
    """Keeps them in one folder of a file system; `clock` counts the seconds that making takes."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.perf_counter) -> None:
        self._root, self._clock = root, clock

    def fetch(self, digest: str) -> Path:
        return self._root / digest

    def find(self, digest: str) -> Artifact | None:
        """None, and nothing left of it, where a crash of the system cut it short."""
        folder = self.fetch(digest)
        if not folder.is_dir():
            return None
        try:
            facts = from_json((folder / FACTS).read_bytes(), dict[str, Value])
            size = int(facts.pop("size_bytes"))
            if size == folder_bytes(folder) - (folder / FACTS).stat().st_size:
                return Artifact(digest, size, seconds=0.0, reused=True, facts=facts)
        except (OSError, KeyError, msgspec.DecodeError):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def make(self, digest: str, maker: Maker) -> Artifact:
        found = self.find(digest)
        if found is not None:
            return found
        start = self._clock()
        with new_folder(self.fetch(digest)) as new:
            try:
                facts = maker(new)
            except EngineError:
                # vendors report a full disk in different ways, and the candidate is not at fault
                _require_space(new)
                raise
            seconds = self._clock() - start
            # the time it took is stored with the artifact, for those who reuse it
            facts = {"build_seconds": seconds, **facts, "size_bytes": folder_bytes(new)}
            (new / FACTS).write_bytes(to_json(facts))
        return Artifact(digest, int(facts.pop("size_bytes")), seconds, reused=False, facts=facts)

    def add_file(self, path: Path, digest: str, parts: Mapping[str, Path] | None = None) -> FileRef:
        files = {path.name: path} if parts is None else parts
        self.make(digest, lambda new: keep_together(files, new))
        return FileRef(digest, path.name, str(path))


def _require_space(folder: Path) -> None:
    """Raise OSError if the disk is full."""
    with (folder / "probe").open("wb") as probe:
        probe.write(b"\0" * PROBE_BYTES)
        probe.flush()
        os.fsync(probe.fileno())
