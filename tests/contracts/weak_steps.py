"""What drive.py does with weakly typed networks and their calibrators."""

import traceback
from dataclasses import replace
from typing import Any

from engines.backends.tensorrt.build import weak_typing
from engines.core.errors import TunerError
from engines.core.values import InputSource, Settings
from engines.data.calibration import calibration_batches
from studies.core.space import baseline_of
from tests.contracts import cuda_standins
from tests.contracts.driving import Drive, build, conv
from tests.workloads import file_at


def weakly_typed(drive: Drive) -> dict[str, Any]:
    """Weakly typed builds: each precision with layers kept, each way to keep them, each calibrator."""
    vendor = drive.open()[0]._vendor
    offered = weak_typing.choices(vendor)
    found = {
        "choices": offered,
        "reason": weak_typing.reason(vendor),
        "excluded": weak_typing.excluded(vendor),
    }
    if not offered:
        return found
    kept = ("conv", "classify", "flatten")
    builds = {name: _weak_build(drive, kept, precision=name) for name in offered}
    builds["prefer"] = _weak_build(drive, kept, precision="weak_fp16", precision_constraints="prefer")
    builds["nothing"] = _weak_build(drive, (), precision="weak_fp16")
    builds["no layer"] = _weak_build(drive, ("pool",), precision="weak_fp16")
    for file in drive.folder.glob("calibration-*"):
        file.unlink()
    ways = (("entropy", "weak_int8"), ("entropy", "weak_best"), ("minmax", "weak_int8"))
    calibrated = [_weak_build(drive, (), calibration=method, precision=name) for method, name in ways]
    refused = [
        _weak_build(drive, (), calibration="percentile", precision="weak_int8"),
        _weak_build(drive, (), InputSource(file=file_at("gone.npz", "0")), precision="weak_int8"),
    ]
    fed = [float(batch["x"].flat[0]) for batch in calibration_batches(conv(drive.folder))]
    caches = sorted(file.stem[:-17] for file in drive.folder.glob("calibration-*.cache"))
    more = {"calibrated": calibrated, "refused": refused, "fed": fed, "caches": caches}
    return {**found, "builds": builds, **more}


def _weak_build(
    drive: Drive, kept: tuple[str, ...], data: InputSource | None = None, **settings: Any
) -> dict[str, Any]:
    backend, script = drive.open()
    workload = replace(conv(drive.folder), keep_fp32=kept, calibration=data)
    baseline = baseline_of(backend.dimensions(workload, concurrent=False))
    ways = {"precision_constraints": settings.pop("precision_constraints", "obey")}
    candidate = replace(
        baseline, graph=Settings({**baseline.graph, **settings}), build=Settings({**baseline.build, **ways})
    )
    held = cuda_standins.Buffer.open_buffers
    try:
        facts = build(drive, backend, workload, candidate)
    except TunerError as error:
        facts = {"refused": str(error)}
    except Exception:
        drive.errors[f"weak {kept} {settings}"] = traceback.format_exc()[-2000:]
        facts = {}
    assert cuda_standins.Buffer.open_buffers == held, "device memory was not given back"
    key = drive.open()[0].engine_key(workload, candidate)
    return {"facts": facts, "told": script.told, "calibrations": script.calibrations, "key": key}
