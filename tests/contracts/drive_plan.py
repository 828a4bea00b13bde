"""Reads an engine back over real bindings without their library: `python -m tests.contracts.drive_plan`.

Reads a job and writes a report, both JSON: the space, and what the engine is found to take.
"""

import importlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from engines.core.values import Settings
from engines.core.wire import to_plain
from tests.contracts.bindings import PACKAGES
from tests.contracts.driving import Drive, spaces
from tests.contracts.scripts import INPUT, PLAN, SHAPES

BOUNDS = ((1, 3, 12, 12), (2, 3, 12, 12), (8, 3, 12, 12))


def _tensors(drive: Drive) -> Any:
    """Of an engine whose input has a dynamic batch."""
    backend, script = drive.open()
    dims: Any = script.world.real.Dims
    script.world.behaviours |= {
        "ICudaEngine.get_tensor_shape": lambda _, name: dims(
            (-1, *SHAPES[name][1:]) if name == INPUT else SHAPES[name]
        ),
        "ICudaEngine.get_tensor_profile_shape": lambda *_: [dims(shape) for shape in BOUNDS],
    }
    file = drive.folder / "net.plan"
    file.write_bytes(PLAN)
    found = backend.describe(file, Settings())
    return found.inputs, found.outputs, found.limits


def main() -> None:
    """Answers a job: {backend}."""
    job = json.load(sys.stdin)
    # the libraries of an installed version would be loaded instead of the stand-ins
    sys.modules[job["backend"].replace("-", "_") + "_libs"] = None  # type: ignore[assignment]
    real = importlib.import_module(PACKAGES[job["backend"]][1])
    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(job["backend"], real, Path(folder), frozenset())
        steps = {"tensors": _tensors, "spaces": spaces}
        found = {what: drive.attempt(what, partial(step, drive)) for what, step in steps.items()}
        json.dump(to_plain({**found, "errors": drive.errors}), sys.stdout)


if __name__ == "__main__":
    main()
