"""Drives the TensorRT backend over real bindings without their library: `python -m tests.contracts.drive`.

Reads a job and writes a report, both JSON. Everything that the backend does on a GPU is done here with
stand-ins: opening, the space, a build for each choice and each value that can be fixed, refusals, runs.
"""

import gc
import importlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Collection
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from engines.core.wire import to_plain
from tests.contracts.bindings import PACKAGES
from tests.contracts.build_steps import builds, caches, plugins, refused_build, refused_graph
from tests.contracts.driving import Drive, spaces
from tests.contracts.profile_steps import profiles
from tests.contracts.run_steps import runs
from tests.contracts.weak_steps import weakly_typed


def report(
    name: str,
    real: ModuleType,
    folder: Path,
    hidden: frozenset[str] = frozenset(),
    only: Collection[str] = (),
) -> Any:
    """Everything that the steps gave, or some of them."""
    drive = Drive(name, real, folder, hidden)
    steps: dict[str, Callable[[Drive], object]] = {
        "machine": lambda drive: drive.open()[0].machine(),
        "device": lambda drive: drive.open()[0].device(),
        "shared": lambda drive: drive.open()[0].shared(),
        "reading": lambda drive: drive.open()[0].probe().read(),
        "log": _log,
        "spaces": spaces,
        "weak": weakly_typed,
        "plugins": plugins,
        "builds": builds,
        "parser": refused_graph,
        "silence": refused_build,
        "caches": caches,
        "profiles": profiles,
        "runs": runs,
    }
    found = {
        what: drive.attempt(what, partial(step, drive))
        for what, step in steps.items()
        if not only or what in only
    }
    return to_plain({**found, "errors": drive.errors, "used": sorted(drive.used)})


def _log(drive: Drive) -> list[str]:
    """What is written of a message of each severity, through the real base class."""
    backend, script = drive.open(log="VERBOSE")
    written = io.StringIO()
    with redirect_stderr(written):
        for severity in script.world.real.ILogger.Severity.__members__.values():
            backend._messages.logger.log(severity, "said")
    return written.getvalue().splitlines()


def main() -> None:
    """Answers a job: {backend, without, only}; after a pass with all names, one without each of those.

    Each pass is of all steps, or of the `only` ones.
    """
    job = json.load(sys.stdin)
    # the libraries of an installed version would be loaded instead of the stand-ins
    sys.modules[job["backend"].replace("-", "_") + "_libs"] = None  # type: ignore[assignment]
    real = importlib.import_module(PACKAGES[job["backend"]][1])
    # every runner that is closed collects garbage; the modules are none
    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        only = job["only"]
        whole = report(job["backend"], real, Path(folder), only=only)
        without = {
            name: _difference(whole, report(job["backend"], real, Path(folder), frozenset([name]), only))
            for name in job["without"]
        }
    enums = {name: list(of.__members__) for name, of in vars(real).items() if hasattr(of, "__members__")}
    json.dump({**whole, "without": without, "enums": enums, "version": real.__version__}, sys.stdout)


def _difference(whole: Any, part: Any) -> dict[str, Any]:
    """What a missing name did: the errors, and the dimensions and values that were no more."""
    left = [(one["name"], one["value"]) for one in part.get("builds") or ()]
    gone = [one["name"] for one in whole.get("builds", ()) if (one["name"], one["value"]) not in left]
    return {"errors": part["errors"], "gone": sorted(set(gone)) if left else []}


if __name__ == "__main__":
    main()
