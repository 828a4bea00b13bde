"""Engines that are exported to be measured, and measurements that are made up."""

from pathlib import Path
from typing import Any

import tuner
from engines.core.results import Block, Measurement
from engines.core.values import Machine, Policy, Settings
from engines.worker.protocol import EngineMeasured
from tests.workloads import tiny_conv
from tuner.bundles.base import EngineFile
from tuner.workflows.measure import Measured


def export(folder: Path, backend: str, **options: Any) -> Path:
    result = tuner.search(
        tiny_conv(folder),
        trials=1,
        shapes=("x:2x3x12x12",),
        backend=backend,
        workspace=folder / "w",
        **{"self_test": 0, "finalists": 0, **options},
    )
    return result.export(folder / "best")


def measured(block: Block, *, limits: Any = None, **run: Any) -> Measured:
    """What a GPU of which latency can be told apart would give."""
    machine = Machine("gpu", "H200", 132, 1, "Linux", libraries={"tensorrt": "11.4"}, limits=limits or {})
    measurement = Measurement((block,), 1, 1, 0.2, 21, converged=False)
    settings = Settings(streams=1, **run)
    engine = EngineFile(Path("net.plan"), ("tensorrt",), Settings(device=0), settings)
    found = EngineMeasured(measurement, machine, {"x": (1, 3)})
    return Measured(engine, "tensorrt", settings, Policy(parts=True), found)
