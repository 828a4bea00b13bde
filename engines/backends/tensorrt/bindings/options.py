"""The options of the backend, as in `--backend tensorrt:device=1,log=INFO`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.backends.tensorrt.bindings.monitor import SEVERITIES
from engines.core.errors import UserError
from engines.core.values import Settings, Value

# plugins are paths joined by +; with 0 builder_threads the vendor's default holds
OPTIONS: Mapping[str, Value] = {
    "device": 0,
    "log": "WARNING",
    "plugins": "",
    "serialize_plugins": False,
    "builder_threads": 0,
    "graph_fallback": False,
}


@dataclass(frozen=True)
class Options:
    """Which GPU, how much of the log, and the plugins; 0 builder_threads is the vendor's default.

    With `graph_fallback`, a candidate whose CUDA graph cannot be captured is run without one; else it fails.
    """

    device: int
    log: str
    plugins: tuple[Path, ...]
    serialize_plugins: bool
    builder_threads: int
    graph_fallback: bool


def read_options(name: str, options: Settings) -> Options:
    """Return the options of the backend of this name; raises UserError for unknown options and values."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise UserError(f"the backend {name} has no option {unknown[0]!r}", f"Known: {', '.join(OPTIONS)}.")
    for key, value in options.items():
        _require_type(name, key, value)
    values = {**OPTIONS, **options}
    level = str(values["log"]).upper()
    if level not in SEVERITIES:
        raise UserError(
            f"the backend {name} has no log level {values['log']!r}", f"Known: {', '.join(SEVERITIES)}."
        )
    # absolute: the loader looks for a bare name elsewhere than in this folder
    plugins = tuple(Path(path).absolute() for path in str(values["plugins"]).split("+") if path)
    missing = [path for path in plugins if not path.is_file()]
    if missing:
        raise UserError(f"no such plugin library: {missing[0]}", "Check the path.")
    return Options(
        int(values["device"]),
        level,
        plugins,
        bool(values["serialize_plugins"]),
        int(values["builder_threads"]),
        bool(values["graph_fallback"]),
    )


def _require_type(name: str, key: str, value: Value) -> None:
    wanted = type(OPTIONS[key])
    if wanted is not str and type(value) is not wanted:
        hint = "Write true or false." if wanted is bool else "Write a whole number."
        raise UserError(f"the backend {name} cannot take {key}={value}", hint)
