"""The metrics that objectives and constraints may name: one entry a metric."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engines import statistics
from engines.statistics import Estimate
from engines.values import Accuracy, Evaluation, Measurement, Samples
from studies.records import Direction


@dataclass(frozen=True)
class Metric:
    """`of` derives the metric from an evaluation; it gives None where the evaluation does not have it."""

    unit: str
    better: Direction
    about: str
    of: Callable[[Evaluation], Estimate | None]


def metrics_of(evaluation: Evaluation) -> dict[str, Estimate]:
    """Every metric that the evaluation has, by name."""
    found = {name: metric.of(evaluation) for name, metric in METRICS.items()}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _measured(derive: Callable[[Measurement], Estimate]) -> Callable[[Evaluation], Estimate | None]:
    return lambda evaluation: derive(evaluation.measurement) if evaluation.measurement else None


def _latency(statistic: Callable[[Samples], float]) -> Callable[[Evaluation], Estimate | None]:
    return _measured(lambda measurement: statistics.latency(measurement, statistic))


def _checked(derive: Callable[[Accuracy], float]) -> Callable[[Evaluation], Estimate | None]:
    return lambda evaluation: Estimate(derive(evaluation.accuracy)) if evaluation.accuracy else None


def _engine_bytes(evaluation: Evaluation) -> Estimate | None:
    return Estimate(float(evaluation.engine.size_bytes)) if evaluation.engine else None


def _build_seconds(evaluation: Evaluation) -> Estimate | None:
    seconds = evaluation.engine.facts.get("build_seconds") if evaluation.engine else None
    return Estimate(float(seconds)) if seconds is not None else None


def _memory_bytes(evaluation: Evaluation) -> Estimate | None:
    return _bytes(evaluation.measurement.memory_bytes) if evaluation.measurement else None


def _device_memory_bytes(evaluation: Evaluation) -> Estimate | None:
    return _bytes(evaluation.measurement.device_memory_bytes) if evaluation.measurement else None


def _bytes(count: int | None) -> Estimate | None:
    return Estimate(float(count)) if count is not None else None


METRICS: Mapping[str, Metric] = {
    "latency_ms": Metric("ms", "minimize", "median time of one inference", _latency(statistics.median)),
    "mean_ms": Metric("ms", "minimize", "mean time of one inference", _latency(statistics.mean)),
    "p90_ms": Metric("ms", "minimize", "90th percentile of the time", _latency(statistics.percentile(90))),
    "p95_ms": Metric("ms", "minimize", "95th percentile of the time", _latency(statistics.percentile(95))),
    "p99_ms": Metric("ms", "minimize", "99th percentile of the time", _latency(statistics.percentile(99))),
    "throughput": Metric(
        "samples/s", "maximize", "samples per second over all streams", _measured(statistics.throughput)
    ),
    "error": Metric(
        "", "minimize", "relative L2 error of the worst output", _checked(lambda accuracy: accuracy.error)
    ),
    "max_abs_error": Metric(
        "",
        "minimize",
        "largest absolute difference in any output",
        _checked(lambda accuracy: accuracy.max_abs_error),
    ),
    "engine_bytes": Metric("bytes", "minimize", "size of the engine on disk", _engine_bytes),
    "build_seconds": Metric("s", "minimize", "time that building the engine took", _build_seconds),
    "memory_bytes": Metric(
        "bytes",
        "minimize",
        "growth of peak resident memory while the engine is loaded and run",
        _memory_bytes,
    ),
    "device_memory_bytes": Metric(
        "bytes", "minimize", "memory of the device that the loaded engine holds", _device_memory_bytes
    ),
}
