"""What drive.py does with a plan of two profiles: what is built, and the profile that shapes are run in."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.backends.tensorrt.run.load import ENGINE
from engines.core.values import Case, Policy, Profile, Settings, ShapePlan, ShapeRange, Tensors, Workload
from tests.contracts.driving import Drive, build, conv
from tests.contracts.scripts import INPUT, OUTPUT, PLAN

IMAGE = (3, 12, 12)
BOUNDS = ((1, 2, 4), (5, 8, 16))


def profiles(drive: Drive) -> dict[str, Any]:
    """The profiles that the builder was given, and those that a context was set to, by batch."""
    added = _added(drive, _mixed(conv(drive.folder)))
    return {"added": added, "chosen": {size: _chosen(drive, size) for size in (2, 8)}}


def _mixed(workload: Workload) -> Workload:
    ranges = [ShapeRange(*((size, *IMAGE) for size in bounds)) for bounds in BOUNDS]
    plan = ShapePlan(
        tuple(Profile({INPUT: of}) for of in ranges),
        tuple(Case({INPUT: of.optimum}, of.optimum[0]) for of in ranges),
    )
    return replace(workload, plan=plan)


def _added(drive: Drive, workload: Workload) -> list[list[int]]:
    """The batches of each profile that the builder was given."""
    backend, script = drive.open()
    added: list[list[int]] = []

    def add(_: Any, profile: Any) -> int:
        added.append([shape[0] for shape in profile._state["shapes"][INPUT]])
        return len(added) - 1

    script.world.behaviours["IBuilderConfig.add_optimization_profile"] = add
    build(drive, backend, workload)
    return added


def _chosen(drive: Drive, batch: int) -> list[int]:
    """The profiles that the context of an engine of both was set to."""
    backend, script = drive.open()
    chosen: list[int] = []
    dims: Any = script.world.real.Dims
    shapes = {INPUT: (batch, *IMAGE), OUTPUT: (batch, 5)}

    def choose(_: Any, index: int, stream: int) -> bool:
        chosen.append(index)
        return True

    script.world.behaviours |= {
        "ICudaEngine.num_optimization_profiles": lambda _: len(BOUNDS),
        "ICudaEngine.get_tensor_profile_shape": lambda _, name, index: [
            dims((size, *IMAGE)) for size in BOUNDS[index]
        ],
        "IExecutionContext.get_tensor_shape": lambda _, name: dims(shapes[name]),
        "IExecutionContext.set_optimization_profile_async": choose,
    }
    inputs: Tensors = {INPUT: np.zeros(shapes[INPUT], np.float32)}
    settings = Settings(streams=2, cuda_graph=False)
    with tempfile.TemporaryDirectory(dir=drive.folder) as folder:
        (Path(folder) / ENGINE).write_bytes(PLAN)
        runner = backend.open(Path(folder), conv(drive.folder), settings, inputs, Policy())
        assert runner.infer(inputs)[OUTPUT].shape == shapes[OUTPUT]
        runner.close()
    return chosen
