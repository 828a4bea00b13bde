"""The backends: one line each in a table, imported when used."""

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from engines.backends.base import Backend, Runner
from engines.core.errors import UserError
from engines.core.values import DeviceKind, Settings, Value

__all__ = ["BACKENDS", "Backend", "BackendEntry", "Runner", "choose_backend", "open_backend", "parse_backend"]


@dataclass(frozen=True)
class EngineFiles:
    """The files that a backend runs by themselves (it is `base.Describes`): `what` they are of whom (`of`).

    `run` are the settings of a file that brings none.
    """

    what: str
    of: str
    suffixes: tuple[str, ...]
    run: Settings


@dataclass(frozen=True)
class TrtexecProgram:
    """The vendor's program that builds and times an engine as a backend does.

    Its options are those of trtexec of the major version of `library`, or of the newest where it is None.
    `graph_strategy`: CUDA graphs are a strategy of the runtime. With `backend_options` the backend loads
    whatever the program does.
    """

    name: str
    library: str | None
    graph_strategy: bool
    backend_options: Settings


@dataclass(frozen=True)
class BackendEntry:
    """What the owner knows of a backend without loading it.

    Where it lives, the package that it needs (None for none), the command that installs it, the kind of
    device it runs on, and what it can do besides searching.
    """

    module: str
    factory: str
    about: str
    package: str | None
    install: str
    automatic: bool
    device: DeviceKind = "simulated"
    takes_plugins: bool = False
    files: EngineFiles | None = None
    trtexec: TrtexecProgram | None = None

    @property
    def needs_gpu(self) -> bool:
        return self.device == "gpu"

    def is_installed(self) -> bool:
        return self.package is None or _has_package(self.package)


PLANS = EngineFiles(
    "plan",
    "TensorRT",
    (".plan", ".engine", ".trt"),
    Settings(streams=1, cuda_graph=False, kernel_specialization="eager"),
)
# like trtexec, an engine that cannot be captured as a CUDA graph is run without one
LIKE_TRTEXEC = Settings(graph_fallback=True)

BACKENDS: dict[str, BackendEntry] = {
    "tensorrt": BackendEntry(
        "engines.backends.tensorrt.backend",
        "tensorrt",
        "TensorRT on an NVIDIA GPU",
        "tensorrt",
        "pip install 'trt-tuner[tensorrt]' --extra-index-url https://pypi.nvidia.com",
        automatic=True,
        device="gpu",
        takes_plugins=True,
        files=PLANS,
        trtexec=TrtexecProgram("trtexec", "tensorrt", False, LIKE_TRTEXEC),
    ),
    "tensorrt-rtx": BackendEntry(
        "engines.backends.tensorrt.backend",
        "tensorrt_rtx",
        "TensorRT-RTX on an NVIDIA GPU",
        "tensorrt_rtx",
        "pip install 'trt-tuner[tensorrt-rtx]'",
        automatic=True,
        device="gpu",
        files=PLANS,
        trtexec=TrtexecProgram("tensorrt_rtx", None, True, LIKE_TRTEXEC),
    ),
    "onnxruntime": BackendEntry(
        "engines.backends.onnxruntime.backend",
        "OnnxRuntime",
        "ONNX Runtime on the CPU",
        "onnxruntime",
        "pip install onnxruntime",
        automatic=True,
        device="cpu",
        files=EngineFiles("model", "ONNX Runtime", (".onnx", ".ort"), Settings(streams=1)),
    ),
    "fake": BackendEntry(
        "engines.backends.fake.backend",
        "Fake",
        "a deterministic made-up machine, for tests and examples",
        None,
        "",
        automatic=False,
    ),
    "replay": BackendEntry(
        "engines.backends.replay.backend",
        "Replay",
        "a recorded landscape served as if it were the machine",
        None,
        "",
        automatic=False,
    ),
}


def parse_backend(text: str) -> tuple[str, Settings]:
    """Return name and options of `NAME` or `NAME:OPTION=VALUE,...`; raises UserError for an unknown name."""
    name, _, rest = text.partition(":")
    if name != "auto" and name not in BACKENDS:
        raise UserError(f"unknown backend {name!r}", f"Known: auto, {', '.join(BACKENDS)}.")
    pairs = [item.partition("=") for item in rest.split(",") if item]
    if any(not separator for _, separator, _ in pairs):
        raise UserError(
            f"cannot read the backend's options {rest!r}", "Write NAME:OPTION=VALUE,OPTION=VALUE."
        )
    keys = [key for key, _, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"the backend's option {key!r} is given twice", "Give it once.")
    return name, Settings({key: parse_value(value) for key, _, value in pairs})


def parse_value(text: str) -> Value:
    """Return a number, true or false, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        # nan and inf have no JSON, and are words here
        return value if math.isfinite(value) else text
    return text


def choose_backend(name: str, has_gpu: Callable[[], bool]) -> tuple[str, str]:
    """The backend to use for `name`, and why it was chosen ('' when it was named); raises UserError.

    `has_gpu` is asked where that decides.
    """
    if name != "auto":
        _require(name)
        return name, ""
    passed_over = []
    for candidate, entry in BACKENDS.items():
        if not entry.automatic:
            continue
        if not entry.is_installed():
            passed_over.append(f"{candidate} is not installed")
        elif entry.needs_gpu and not has_gpu():
            passed_over.append(f"{candidate} needs an NVIDIA GPU")
        else:
            because = f" ({', '.join(passed_over)})" if passed_over else ""
            return candidate, f"{entry.about}{because}"
    commands = [entry.install for entry in BACKENDS.values() if entry.automatic]
    raise UserError("no backend is installed", f"Install one: {' or '.join(commands)}.")


def open_backend(name: str, options: Settings, folder: Path) -> Backend:
    """Open the backend with a folder for its caches; raises UserError if its package or an option is
    wrong.
    """
    entry = _require(name)
    try:
        factory = getattr(importlib.import_module(entry.module), entry.factory)
    except ImportError as error:
        raise UserError(
            f"the backend {name!r} cannot be loaded: {error}", f"Install it again: {entry.install}."
        ) from error
    return cast("Backend", factory(options, folder))


def _require(name: str) -> BackendEntry:
    entry = BACKENDS[name]
    if not entry.is_installed():
        raise UserError(
            f"the backend {name!r} needs the package {entry.package!r}, which is not installed",
            f"Install it: {entry.install}.",
        )
    return entry


def _has_package(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
