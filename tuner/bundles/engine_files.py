"""What can be measured by itself: an export, a plan of TensorRT, or a model for ONNX Runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engines.backends.registry import BACKENDS, EngineFiles, parse_backend
from engines.core.errors import UserError
from engines.core.values import ModelFacts, Settings, Shape, ShapeRange
from engines.core.wire import from_json
from engines.data.named_files import require_file
from engines.shapes.resolve import batch_of, with_batch
from tuner.bundles.engine import EVIDENCE

WHAT_CAN_BE = "Name a folder that tuner export wrote, a plan of TensorRT, or an .onnx or .ort file."


@dataclass(frozen=True)
class EngineFile:
    """An engine on the disk, the backends that may run it in the order to try them, and its run settings.

    Of an export `model`, `preferred` shapes and what it is (`about`) are known.
    """

    path: Path
    backends: tuple[str, ...]
    options: Settings
    run: Settings
    about: str = ""
    model: ModelFacts | None = None
    preferred: Mapping[str, Shape] = field(default_factory=dict)


def find_engine(path: Path, backend: str) -> EngineFile:
    """What lies at the path, to be run by the backend (`auto` for whatever can); raises UserError."""
    name, options = parse_backend(backend)
    if not path.exists():
        raise UserError(f"there is no {str(path)!r}", WHAT_CAN_BE)
    if not path.is_dir():
        require_file(path)
    folder = path if path.is_dir() else path.parent
    evidence = _evidence(folder)
    if evidence is not None and (path.is_dir() or path.name in evidence.files):
        return _export(folder, evidence, name, options)
    if path.is_dir():
        raise UserError(f"the folder {str(path)!r} is no export: it has no {EVIDENCE}", WHAT_CAN_BE)
    return _file(path, name, options)


def _file(path: Path, name: str, options: Settings) -> EngineFile:
    """A file that a backend runs by itself; one of a name that tells nothing is taken to be the backend's."""
    runners = {one: entry.files for one, entry in BACKENDS.items() if entry.files is not None}
    takers = [one for one, files in runners.items() if path.suffix.lower() in files.suffixes]
    if name != "auto":
        if name not in (takers or runners):
            raise _not_run_by(name, path, runners[takers[0]].what if takers else "file")
        return EngineFile(path, (name,), options, runners[name].run)
    if not takers:
        suffixes = dict.fromkeys(suffix for files in runners.values() for suffix in files.suffixes)
        raise UserError(
            f"nothing tells what {str(path)!r} is",
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
    """Those of the backends that can be used; raises UserError where none can."""
    found = tuple(name for name in names if BACKENDS[name].is_installed())
    if not found:
        commands = " or ".join(BACKENDS[name].install for name in names)
        raise UserError(
            f"a {files.what} needs {files.of}, which is not installed", f"Install it: {commands}."
        )
    return found


class _Backend(msgspec.Struct):
    name: str
    options: Settings


class _Trial(msgspec.Struct):
    number: int
    settings: Settings


class _Evidence(msgspec.Struct):
    """What is read of an export's evidence."""

    study: str
    model: ModelFacts
    shapes: dict[str, ShapeRange]
    backend: _Backend
    trial: _Trial
    files: dict[str, Any]


def _evidence(folder: Path) -> _Evidence | None:
    """None where there is no evidence; raises UserError for one that cannot be read."""
    file = folder / EVIDENCE
    if not file.is_file():
        return None
    try:
        return from_json(file.read_bytes(), _Evidence)
    except msgspec.DecodeError as error:
        raise UserError(
            f"{str(file)!r} is no evidence of ours: {error}", "Export the engine again."
        ) from error


def _export(folder: Path, found: _Evidence, name: str, options: Settings) -> EngineFile:
    if name not in ("auto", found.backend.name):
        raise UserError(
            f"the engine in {str(folder)!r} is of the backend {found.backend.name}, not {name}",
            "Leave --backend out.",
        )
    if found.backend.name not in BACKENDS:
        raise UserError(
            f"the engine in {str(folder)!r} is of the backend {found.backend.name}, which is unknown here",
            f"Known: {', '.join(BACKENDS)}.",
        )
    missing = [file for file in found.files if not (folder / file).is_file()]
    if missing:
        raise UserError(f"the export {str(folder)!r} has lost its {missing[0]}", "Export the engine again.")
    batch, batched = batch_of(found.model, found.shapes)
    batch = int(found.trial.settings.get("batch", batch))
    return EngineFile(
        path=folder,
        backends=(found.backend.name,),
        options=Settings({**found.backend.options, **options}),
        run=found.trial.settings,
        about=f"trial {found.trial.number} of {found.study}",
        model=found.model,
        preferred=with_batch(found.shapes, batched, batch),
    )
