"""The metrics that objectives and constraints may name: one entry a metric, and those of the user's."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from engines.core.errors import UserError
from engines.core.results import Accuracy, Evaluation, Measurement
from engines.core.values import TaskMetric
from engines.statistics import estimates
from engines.statistics.deadlines import p99_bound
from engines.statistics.estimates import Estimate
from studies.core.records import Direction


@dataclass(frozen=True)
class Metric:
    """`of` derives the metric from an evaluation; it gives None where the evaluation does not have it."""

    unit: str
    better: Direction
    about: str
    of: Callable[[Evaluation], Estimate | None]


def metrics_of(evaluation: Evaluation, only: Collection[str] | None = None) -> dict[str, Estimate]:
    """Every metric that the evaluation has, or only those named, the user's own among them."""
    scores = evaluation.accuracy.scores if evaluation.accuracy else {}
    names = [name for name in (*METRICS, *scores) if only is None or name in only]
    found = {name: value_of(evaluation, name) for name in names}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def value_of(evaluation: Evaluation, name: str) -> Estimate | None:
    """One metric of the evaluation; None where it does not have it."""
    if name in METRICS:
        return METRICS[name].of(evaluation)
    score = evaluation.accuracy.scores.get(name) if evaluation.accuracy else None
    return None if score is None else Estimate(score)


def known_metrics(own: Sequence[TaskMetric] = ()) -> dict[str, Metric]:
    """All metrics by name, the user's own last; raises UserError for a name that is taken."""
    found = dict(METRICS)
    for one in own:
        if one.name in found:
            raise UserError(
                f"there is a metric named {one.name!r} already",
                f"Give this one another name: {one.name}_of_mine={one.function}.",
            )
        found[one.name] = Metric("", one.better, f"{one.function}, your own", _scored(one.name))
    return found


def is_exact(name: str) -> bool:
    """Whether the metric is a fact without an interval, as the user's own are."""
    return name in EXACT_METRICS or name not in METRICS


def _scored(name: str) -> Callable[[Evaluation], Estimate | None]:
    return lambda evaluation: value_of(evaluation, name)


def _timing(name: str, unit: str, about: str) -> Metric:
    timing = estimates.TIMINGS[name]
    return Metric(unit, timing.better, about, _measured(timing.of))


def _measured(derive: Callable[[Measurement], Estimate | None]) -> Callable[[Evaluation], Estimate | None]:
    return lambda evaluation: derive(evaluation.measurement) if evaluation.measurement else None


def _p99_bound(evaluation: Evaluation) -> Estimate | None:
    bound = p99_bound(evaluation.measurement) if evaluation.measurement else None
    return None if bound is None else Estimate(bound)


def _variation(evaluation: Evaluation) -> Estimate | None:
    measurement = evaluation.measurement
    return Estimate(estimates.coefficient_of_variation(measurement)) if measurement else None


def _checked(derive: Callable[[Accuracy], float | None]) -> Callable[[Evaluation], Estimate | None]:
    def of(evaluation: Evaluation) -> Estimate | None:
        value = derive(evaluation.accuracy) if evaluation.accuracy else None
        return None if value is None else Estimate(value)

    return of


def _worst_output(
    measure: str, pick: Callable[[list[float]], float]
) -> Callable[[Evaluation], Estimate | None]:
    """The worst output's; None where no output has it."""

    def derive(accuracy: Accuracy) -> float | None:
        values = [getattr(output, measure) for output in accuracy.outputs]
        known = [value for value in values if value is not None]
        return pick(known) if known else None

    return _checked(derive)


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
    "latency_ms": _timing("latency_ms", "ms", "median time of one inference"),
    "mean_ms": _timing("mean_ms", "ms", "mean time of one inference"),
    "p90_ms": _timing("p90_ms", "ms", "90th percentile of the time"),
    "p95_ms": _timing("p95_ms", "ms", "95th percentile of the time"),
    "p99_ms": _timing("p99_ms", "ms", "99th percentile of the time"),
    "p99_bound_ms": Metric(
        "ms", "minimize", "what the 99th percentile does not exceed with 95 % confidence", _p99_bound
    ),
    "cold_ms": _timing("cold_ms", "ms", "median time of one inference with caches flushed (--cold)"),
    "throughput": _timing("throughput", "samples/s", "samples per second over all streams"),
    "variation": Metric("", "minimize", "coefficient of variation of the time", _variation),
    "energy_mj": _timing("energy_mj", "mJ", "energy of one inference, the whole device's"),
    "power_w": _timing("power_w", "W", "power of the device while it runs"),
    "clock_mhz": _timing("clock_mhz", "MHz", "clock of the processor while it runs"),
    "error": Metric(
        "", "minimize", "relative L2 error of the worst output", _checked(lambda accuracy: accuracy.error)
    ),
    "max_abs_error": Metric(
        "",
        "minimize",
        "largest absolute difference in any output",
        _checked(lambda accuracy: accuracy.max_abs_error),
    ),
    "mean_abs_error": Metric(
        "", "minimize", "mean absolute difference in the worst output", _worst_output("mean_abs", max)
    ),
    "cosine": Metric(
        "", "maximize", "cosine between the worst output and what is right", _worst_output("cosine", min)
    ),
    "snr_db": Metric(
        "dB", "maximize", "signal to noise ratio of the worst output", _worst_output("snr_db", min)
    ),
    "top1_agreement": Metric(
        "",
        "maximize",
        "share of samples with the highest score in the right place",
        _worst_output("top1", min),
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

# how far outputs are from what is right
ACCURACY_METRICS = frozenset(
    {"error", "max_abs_error", "mean_abs_error", "cosine", "snr_db", "top1_agreement"}
)
# what an inference takes
SPEED_METRICS = frozenset(
    {
        *("latency_ms", "mean_ms", "p90_ms", "p95_ms", "p99_ms", "p99_bound_ms", "cold_ms"),
        *("throughput", "energy_mj"),
    }
)
# a difference in these is a fact without an interval; every other metric varies from run to run
EXACT_METRICS = ACCURACY_METRICS | {"engine_bytes"}
