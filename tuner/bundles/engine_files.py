"""What can be measured by itself: an export, a plan of TensorRT, or a model for ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.backends.registry import BACKENDS, EngineFiles, parse_backend
from engines.core.errors import UserError
from engines.core.values import Settings
from engines.data.named_files import require_file
from tuner.bundles.base import EVIDENCE, EngineFile, Evidence, read_evidence
from tuner.bundles.registry import load

WHAT_CAN_BE = "Name a folder that tuner export wrote, a plan of TensorRT, or an .onnx or .ort file."


def find_engine(path: Path, backend: str) -> EngineFile:
    """Return the engine at the path, for the backend (`auto`: any that can run it); raises UserError."""
    name, options = parse_backend(backend)
    if not path.exists():
        raise UserError(f"there is no {str(path)!r}", WHAT_CAN_BE)
    if not path.is_dir():
        require_file(path)
    folder = path if path.is_dir() else path.parent
    evidence = read_evidence(folder)
    if evidence is not None and (path.is_dir() or path.name in evidence.files):
        return _bundle(folder, evidence, name, options)
    if path.is_dir():
        raise UserError(f"the folder {str(path)!r} is not an export: it has no {EVIDENCE}", WHAT_CAN_BE)
    return _file(path, name, options)


def _file(path: Path, name: str, options: Settings) -> EngineFile:
    """Return a file that a backend runs by itself; with an unknown suffix it is the named backend's."""
    runners = {one: entry.files for one, entry in BACKENDS.items() if entry.files is not None}
    takers = [one for one, files in runners.items() if path.suffix.lower() in files.suffixes]
    if name != "auto":
        if name not in (takers or runners):
            raise _not_run_by(name, path, runners[takers[0]].what if takers else "file")
        return EngineFile(path, (name,), options, runners[name].run)
    if not takers:
        suffixes = dict.fromkeys(suffix for files in runners.values() for suffix in files.suffixes)
        raise UserError(
            f"the kind of {str(path)!r} is not known",
            f"Name its backend with --backend, or call it {', '.join(suffixes)}.",
        )
    files = runners[takers[0]]
    return EngineFile(path, _installed(takers, files), options, files.run)


def _not_run_by(name: str, path: Path, what: str) -> UserError:
    return UserError(
        f"the backend {name} cannot run the {what} {str(path)!r} as it is",
        "tuner search builds engines from models." if what == "model" else "Leave --backend out.",
    )


def _installed(names: Sequence[str], files: EngineFiles) -> tuple[str, ...]:
    """Return those of the backends that can be used; raises UserError where none can."""
    found = tuple(name for name in names if BACKENDS[name].is_installed())
    if not found:
        commands = " or ".join(BACKENDS[name].install for name in names)
        raise UserError(
            f"a {files.what} needs {files.of}, which is not installed", f"Install it: {commands}."
        )
    return found


def _bundle(folder: Path, evidence: Evidence, name: str, options: Settings) -> EngineFile:
    if name not in ("auto", evidence.backend.name):
        raise UserError(
            f"the engine in {str(folder)!r} is of the backend {evidence.backend.name}, not {name}",
            "Leave --backend out.",
        )
    if evidence.backend.name not in BACKENDS:
        raise UserError(
            f"the engine in {str(folder)!r} is of the backend {evidence.backend.name}, which is unknown here",
            f"Known: {', '.join(BACKENDS)}.",
        )
    found = load(folder, evidence)
    return replace(found, options=Settings({**found.options, **options}))
