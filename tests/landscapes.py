"""Small made-up landscapes for tests: every run, failure and error is written out."""

from collections.abc import Sequence
from pathlib import Path

from engines.core.results import Failure, FailureKind, OutputError
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Stage, Workload
from engines.landscapes.file import Landscape, Made, Run
from tests.workloads import tiny_conv, workload_of

DIMENSIONS = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", "numeric type"),
    Dimension("effort", "build", (0, 1), 0, "effort of the builder"),
    Dimension("streams", "run", (1, 2), 1, "inferences at a time"),
)
BASELINE = Candidate(Settings(precision="fp32"), Settings(effort=0), Settings(streams=1))
FLAT = (1.0,) * 11
SPREAD = (0.9, 0.91, 0.92, 0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.2, 1.5)
SECONDS = {"load": 3.0, "check": 0.5, "warm-up": 0.2, "measure": 1.0}
# of the graph fp16, and of every engine
GRAPH_SECONDS, BUILD_SECONDS = 7.0, 20.0


def workload(folder: Path) -> Workload:
    return workload_of(tiny_conv(folder), x=(2, 3, 12, 12))


def run(
    candidate: int, number: int, *values: float, error: float = 1e-3, shape: Sequence[float] = FLAT
) -> Run:
    """A run whose blocks of ten inferences have these medians."""
    return Run(
        candidate,
        number,
        values=values,
        counts=(10,) * len(values),
        spans=tuple(value / 100 for value in values),
        shape=tuple(shape),
        outputs=(OutputError("y", error, error, error, 1.0),),
        seconds=SECONDS,
        graph=1 if candidate in (1, 2) else 0,
        engine=0 if candidate == 0 else 1,
    )


def failing(
    candidate: int, stage: Stage, seconds: float, kind: FailureKind = "refused", *, graph: int = -1
) -> Run:
    failure = Failure(stage, kind, f"it broke in {stage}", "Fix it.")
    return Run(candidate, 0, failure=failure, seconds={stage: seconds}, graph=graph)


def landscape(of: Workload, runs: Sequence[Run]) -> Landscape:
    """Candidates: baseline; fp16 with 1 and 2 streams; fp16 with effort; int8; fp32 with 2 streams."""
    return Landscape(
        command="tuner record tiny.onnx",
        date="2026-11-21",
        versions={"trt-tuner": "0"},
        backend="fake",
        machine=Machine("cpu", "A CPU", 2, 1 << 30, "Linux", libraries={"onnxruntime": "1"}),
        workload=of,
        policy=Policy(),
        objective="latency_ms",
        constraints=("error<=0.01",),
        dimensions=DIMENSIONS,
        baseline=BASELINE,
        points=((0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0), (0, 0, 1)),
        graphs=(
            Made(of.model.digest, 1000, 0.0),
            Made("half", 5000, GRAPH_SECONDS, {"kept_fp32": "classify"}),
        ),
        engines=(Made("first", 2000, 9.0), Made("second", 70_000, BUILD_SECONDS, {"layers": 3})),
        runs=tuple(runs),
    )
