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
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.contracts import cuda_standins
from tests.contracts.bindings import PACKAGES
from tests.contracts.scripts import PLAN, Scripted, content_of, scripted
from tests.contracts.standins import Behaviour

cuda_standins.install()

from engines.backends.tensorrt import weak  # noqa: E402 - the stand-ins come first
from engines.backends.tensorrt.backend import TensorRT  # noqa: E402
from engines.backends.tensorrt.loading import ENGINE  # noqa: E402
from engines.calibration_data import calibration_batches  # noqa: E402
from engines.errors import EngineError, TunerError  # noqa: E402
from engines.values import (  # noqa: E402
    Block,
    Candidate,
    Dimension,
    InputSource,
    Policy,
    Settings,
    Tensors,
    Workload,
)
from engines.wire import to_plain  # noqa: E402
from studies.space import baseline_of, candidate_at  # noqa: E402
from tests.workloads import example, tiny_conv, workload_of  # noqa: E402

Step = Callable[[], object]

WAYS = {
    "transfers=True": Policy(transfers=True, parts=True),
    "cold=True": Policy(cold=True),
    "spin_wait=False": Policy(spin_wait=False),
    "parts=True": Policy(parts=True),
}


class Drive:
    """One pass over the backend, with some names hidden as if the version lacked them."""

    def __init__(self, name: str, real: ModuleType, folder: Path, hidden: frozenset[str]) -> None:
        self.name, self._real, self.folder, self._hidden = name, real, folder, hidden
        self.used: set[str] = set()
        self.errors: dict[str, str] = {}

    def open(self, **options: Any) -> tuple[TensorRT, Scripted]:
        """The backend over a world of its own."""
        script = scripted(self._real, self._hidden, self.used)
        sys.modules[self.name.replace("-", "_")] = script.world.module  # type: ignore[assignment]
        return TensorRT(self.name, Settings(options), self.folder), script

    def attempt(self, what: str, step: Step) -> Any:
        """What a step gives; None, and the error noted, where it fails."""
        try:
            return step()
        except Exception:
            self.errors[what] = traceback.format_exc()[-2000:]
            return None


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
        "shared": lambda drive: drive.open()[0].shared(),
        "reading": lambda drive: drive.open()[0].probe().read(),
        "log": _log,
        "spaces": _spaces,
        "weak": _weak,
        "plugins": _plugins,
        "builds": _builds,
        "parser": _refused_graph,
        "silence": _refused_build,
        "caches": _caches,
        "runs": _runs,
    }
    found = {
        what: drive.attempt(what, partial(step, drive))
        for what, step in steps.items()
        if not only or what in only
    }
    return to_plain({**found, "errors": drive.errors, "used": sorted(drive.used)})


def conv(folder: Path) -> Workload:
    return workload_of(tiny_conv(folder), x=(2, 3, 12, 12))


def _log(drive: Drive) -> list[str]:
    """What is written of a message of each severity, through the real base class."""
    backend, script = drive.open(log="VERBOSE")
    written = io.StringIO()
    with redirect_stderr(written):
        for severity in script.world.real.ILogger.Severity.__members__.values():
            backend._messages.logger.log(severity, "said")
    return written.getvalue().splitlines()


def _spaces(drive: Drive) -> dict[str, tuple[Dimension, ...]]:
    workloads = {"conv": conv(drive.folder), "dense": example("mlp", drive.folder, features=(2, 64))}
    return {what: drive.open()[0].dimensions(of, concurrent=True) for what, of in workloads.items()}


def _plugins(drive: Drive) -> object:
    library = drive.folder / "libplugin.so"
    library.write_bytes(b"")
    backend, script = drive.open(plugins=str(library), serialize_plugins=True, builder_threads=3)
    workload = conv(drive.folder)
    _build(drive, backend, workload)
    candidate = baseline_of(backend.dimensions(workload, concurrent=False))
    keys = [drive.open()[0].engine_key(workload, candidate)]
    for content in (b"", b"", b"another version"):
        library.write_bytes(content)
        keys.append(drive.open(plugins=str(library))[0].engine_key(workload, candidate))
    return {"loaded": script.loaded, "told": script.told, "keys": keys}


def _builds(drive: Drive) -> list[Any]:
    """The config that the builder got for the baseline, and for each other value of each dimension."""
    workload = conv(drive.folder)
    backend, _ = drive.open()
    dimensions = backend.dimensions(workload, concurrent=True)
    default = {one.name: one.default for one in dimensions}
    asked = [("", 0), *((one.name, value) for one in dimensions for value in _values(one))]
    found = []
    for name, value in asked:
        candidate = candidate_at(dimensions, {**default, name: value} if name else default)
        backend, script = drive.open()
        facts = drive.attempt(f"{name}={value}", partial(_build, drive, backend, workload, candidate))
        kind = next((one.kind for one in dimensions if one.name == name), "")
        found.append({"name": name, "kind": kind, "value": value, "told": script.told, "facts": facts})
    return found


def _weak(drive: Drive) -> dict[str, Any]:
    """Weakly typed builds: each precision with layers kept, each way to keep them, each calibrator."""
    vendor = drive.open()[0]._vendor
    offered = weak.choices(vendor)
    found = {"choices": offered, "reason": weak.reason(vendor), "excluded": weak.excluded(vendor)}
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
        _weak_build(drive, (), InputSource(path="gone.npz", digest="0"), precision="weak_int8"),
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
    build = {"precision_constraints": settings.pop("precision_constraints", "obey")}
    candidate = replace(
        baseline, graph=Settings({**baseline.graph, **settings}), build=Settings({**baseline.build, **build})
    )
    held = cuda_standins.Buffer.open_buffers
    try:
        facts = _build(drive, backend, workload, candidate)
    except TunerError as error:
        facts = {"refused": str(error)}
    except Exception:
        drive.errors[f"weak {kept} {settings}"] = traceback.format_exc()[-2000:]
        facts = {}
    assert cuda_standins.Buffer.open_buffers == held, "device memory was not given back"
    key = drive.open()[0].engine_key(workload, candidate)
    return {"facts": facts, "told": script.told, "calibrations": script.calibrations, "key": key}


def _values(dimension: Dimension) -> Iterator[Any]:
    """What a dimension can be but its default; an integer of one's own where any may be."""
    offered = dict.fromkeys((*dimension.choices, *dimension.fixable))
    own = [7] if dimension.any_integer and 7 not in offered else []
    if dimension.kind != "run":
        yield from (value for value in (*offered, *own) if value != dimension.default)


def _build(drive: Drive, backend: TensorRT, workload: Workload, candidate: Candidate | None = None) -> Any:
    """The facts of a build, of the baseline where no candidate is given."""
    details: list[str] = []
    made = candidate or baseline_of(backend.dimensions(workload, concurrent=False))
    with tempfile.TemporaryDirectory(dir=drive.folder) as folder:
        facts = backend.build(Path(workload.model.path), workload, made, Path(folder), details.append)
        assert (Path(folder) / ENGINE).read_bytes() == PLAN
    assert details, "the builder's progress was not reported"
    return facts


def _refused_graph(drive: Drive) -> str:
    backend, script = drive.open()
    script.world.behaviours["OnnxParser.parse_from_file"] = lambda *_: False
    script.world.behaviours["OnnxParser.num_errors"] = lambda _: 2
    return _refusal(drive, backend)


def _refused_build(drive: Drive) -> str:
    backend, script = drive.open()
    script.world.behaviours["Builder.build_serialized_network"] = lambda *_: None
    return _refusal(drive, backend)


def _refusal(drive: Drive, backend: TensorRT) -> str:
    try:
        _build(drive, backend, conv(drive.folder))
    except EngineError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def _caches(drive: Drive) -> list[Any]:
    """The facts of a cold build, of one that finds the first one's cache, and of one that refuses it."""
    for file in drive.folder.glob("*.cache"):
        file.unlink()
    found = []
    for fits in (True, True, False):
        backend, script = drive.open()
        if not fits:
            attach = script.world.behaviours["IBuilderConfig.set_timing_cache"]
            script.world.behaviours["IBuilderConfig.set_timing_cache"] = partial(_attach_empty, attach)
        found.append(_build(drive, backend, conv(drive.folder)))
    return found


def _attach_empty(attach: Behaviour, config: Any, cache: Any, ignore_mismatch: bool) -> bool:
    """As the library does with a cache of another device."""
    return not content_of(cache) and attach(config, cache, ignore_mismatch)


def _runs(drive: Drive) -> dict[str, int]:
    """Samples of a block for each value of each run dimension, and for each way to time."""
    workload = conv(drive.folder)
    backend, _ = drive.open()
    dimensions = [one for one in backend.dimensions(workload, concurrent=True) if one.kind == "run"]
    default = Settings({one.name: one.default for one in dimensions})
    steps: dict[str, Step] = {}
    for one in dimensions:
        for value in dict.fromkeys((*one.choices, *one.fixable)):
            settings = Settings({**default, one.name: value})
            steps[f"{one.name}={value}"] = partial(_run, drive, workload, settings)
    for name, policy in WAYS.items():
        steps[name] = partial(_run, drive, workload, default, policy)
    return {what: drive.attempt(what, step) for what, step in steps.items()}


def _run(drive: Drive, workload: Workload, settings: Settings, policy: Policy = Policy()) -> int:
    backend, _ = drive.open()
    with tempfile.TemporaryDirectory(dir=drive.folder) as folder:
        (Path(folder) / ENGINE).write_bytes(PLAN)
        inputs: Tensors = {"x": np.zeros((2, 3, 12, 12), np.float32)}
        held = cuda_standins.Buffer.open_buffers
        runner = backend.open(Path(folder), workload, settings, inputs, policy)
        outputs = runner.infer(inputs, runner.streams - 1)
        assert outputs["y"].shape == (2, 5)
        block = runner.block(0.0, cold=policy.cold)
        runner.close()
        assert cuda_standins.Buffer.open_buffers == held, "device memory was not given back"
    _check_parts(block, policy)
    return len(block.latency_ms)


def _check_parts(block: Block, policy: Policy) -> None:
    """Between two events lies a quarter of a millisecond, and a part of an inference."""
    step, parts = 0.25, 3 if policy.transfers else 1
    assert set(block.latency_ms) == {parts * step}
    assert block.span_seconds * 1e3 >= parts * step
    if policy.parts:
        assert set(block.parts["compute_ms"]) == {step}
        assert set(block.parts["h2d_ms"]) == set(block.parts["d2h_ms"]) == {step * policy.transfers}
        assert (block.parts["enqueue_ms"] > 0).all()


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
