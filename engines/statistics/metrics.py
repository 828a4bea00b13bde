"""The table of metrics: one entry holds all facts of a metric, and each set of metrics is a query on it.

A user's own metrics are made of the same facts (`studies.core.metrics.known_metrics`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from engines.core.results import Accuracy, Artifact, Evaluation, Measurement
from engines.core.values import Case
from engines.statistics import estimates
from engines.statistics.deadlines import p99_bound
from engines.statistics.estimates import Direction, Estimate

# a part of an evaluation, under the name of its field
Source = Literal["measurement", "accuracy", "engine"]
# the word for an engine that is good in the metric
Adjective = Literal["fast", "small", "large"]
# what a policy must ask for, so that the metric is measured: its field of that name
Requirement = Literal["cold", "certify"]

DIMENSIONLESS = ""
DEFAULT_OBJECTIVE = "latency_ms"
# constrained by default if no accuracy metric is, and always shown
DEFAULT_ERROR = "error"
# the metric that a deadline constrains
P99_BOUND = "p99_bound_ms"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric, and how it is derived from a part of an evaluation.

    `derive` takes the part named by `source` and returns None if the metric is missing there. `timed`: it
    differs from block to block, which gives its interval; `exact`: it is known without an interval; every
    other metric varies from run to run. `speed`: it measures the cost of an inference. `concurrent`: several
    inferences at once and larger batches raise it. `replayed`: a recorded landscape returns it as it was
    measured. `summarised`: the end of a search always shows it. Metrics of one `family` rank candidates
    alike.
    """

    name: str
    unit: str
    better: Direction
    about: str
    source: Source
    derive: Callable[[Any], Estimate | None]
    adjective: Adjective
    timed: bool = False
    exact: bool = False
    speed: bool = False
    concurrent: bool = False
    replayed: bool = False
    summarised: bool = False
    requires: Requirement | None = None
    family: str | None = None

    @property
    def raced(self) -> bool:
        """Whether a measurement can be pruned on it: not on cold latency, which is measured last."""
        return self.timed and self.requires != "cold"

    def of(self, evaluation: Evaluation) -> Estimate | None:
        """Return the metric of an evaluation; None if it does not have it."""
        part = getattr(evaluation, self.source)
        return None if part is None else self.derive(part)


def names_where(holds: Callable[[Metric], bool]) -> tuple[str, ...]:
    """Return the names of the metrics that meet a condition, in the order of the table."""
    return tuple(name for name, metric in METRICS.items() if holds(metric))


def accuracy_metrics() -> tuple[str, ...]:
    """Return the metrics that compare outputs with the reference, errors first."""
    return names_where(lambda metric: metric.source == "accuracy")


def over_cases(metric: Metric, measurement: Measurement, cases: Sequence[Case]) -> Estimate | None:
    """Return a metric's mean over all cases by their weights; None if one of them does not have it.

    A weight is a share of the requests, so a rate is weighted by the samples that they bring.
    """
    if len(cases) == 1:
        return metric.derive(measurement)
    parts = [replace(measurement.of_case(place), batch=case.batch) for place, case in enumerate(cases)]
    found = [metric.derive(part) for part in parts]
    known = [one for one in found if one is not None]
    if len(known) < len(cases):
        return None
    is_rate = metric.unit.endswith("/s")
    weights = [case.weight * (case.batch if is_rate else 1) for case in cases]
    return estimates.weighted(known, weights, harmonic=is_rate)


def is_timed(name: str) -> bool:
    """Whether the metric differs from block to block; a user's own never does."""
    return name in METRICS and METRICS[name].timed


def _p99_bound(measurement: Measurement) -> Estimate | None:
    return _exactly(p99_bound(measurement))


def _variation(measurement: Measurement) -> Estimate | None:
    return Estimate(estimates.coefficient_of_variation(measurement))


def _worst_output(accuracy: Accuracy, measure: str, pick: Callable[[list[float]], float]) -> Estimate | None:
    """Return the value of the worst output; None if no output has one."""
    values = [getattr(output, measure) for output in accuracy.outputs]
    known = [value for value in values if value is not None]
    return Estimate(pick(known)) if known else None


def _build_seconds(engine: Artifact) -> Estimate | None:
    seconds = engine.facts.get("build_seconds")
    return None if seconds is None else Estimate(float(seconds))


def _exactly(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(float(value))


def _field(part: object, name: str) -> Estimate | None:
    return _exactly(getattr(part, name))


def _latency(
    name: str, about: str, derive: Callable[[Measurement], Estimate | None], *, summarised: bool = False
) -> Metric:
    return Metric(
        name=name,
        unit="ms",
        better="minimize",
        about=about,
        source="measurement",
        derive=derive,
        adjective="fast",
        timed=True,
        speed=True,
        replayed=True,
        summarised=summarised,
        family="latency",
    )


def _state(name: str, unit: str, better: Direction, about: str) -> Metric:
    """Return the metric for a telemetry state of the same name, read while the engine runs."""
    return Metric(
        name=name,
        unit=unit,
        better=better,
        about=about,
        source="measurement",
        derive=partial(estimates.state, name=name),
        adjective="small" if better == "minimize" else "large",
        timed=True,
    )


def _error(
    name: str,
    about: str,
    derive: Callable[[Accuracy], Estimate | None],
    *,
    replayed: bool = False,
    summarised: bool = False,
) -> Metric:
    return Metric(
        name=name,
        unit=DIMENSIONLESS,
        better="minimize",
        about=about,
        source="accuracy",
        derive=derive,
        adjective="small",
        exact=True,
        replayed=replayed,
        summarised=summarised,
    )


def _agreement(name: str, unit: str, about: str, measure: str, *, replayed: bool = False) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        better="maximize",
        about=about,
        source="accuracy",
        derive=partial(_worst_output, measure=measure, pick=min),
        adjective="large",
        exact=True,
        replayed=replayed,
    )


def _memory(name: str, about: str) -> Metric:
    """Return the metric for the field of the measurement with the same name."""
    return Metric(
        name=name,
        unit="bytes",
        better="minimize",
        about=about,
        source="measurement",
        derive=partial(_field, name=name),
        adjective="small",
    )


_TABLE = (
    _latency(
        DEFAULT_OBJECTIVE,
        "median time of one inference",
        partial(estimates.latency, statistic=estimates.median),
        summarised=True,
    ),
    _latency("mean_ms", "mean time of one inference", partial(estimates.latency, statistic=estimates.mean)),
    _latency("p90_ms", "90th percentile of the time", partial(estimates.latency_percentile, percent=90)),
    _latency("p95_ms", "95th percentile of the time", partial(estimates.latency_percentile, percent=95)),
    _latency(
        "p99_ms",
        "99th percentile of the time",
        partial(estimates.latency_percentile, percent=99),
        summarised=True,
    ),
    Metric(
        name=P99_BOUND,
        unit="ms",
        better="minimize",
        about="what the 99th percentile does not exceed with 95 % confidence",
        source="measurement",
        derive=_p99_bound,
        adjective="fast",
        speed=True,
        replayed=True,
        requires="certify",
    ),
    Metric(
        name="cold_ms",
        unit="ms",
        better="minimize",
        about="median time of one inference with caches flushed (--cold)",
        source="measurement",
        derive=estimates.cold,
        adjective="fast",
        timed=True,
        speed=True,
        requires="cold",
    ),
    Metric(
        name="throughput",
        unit="samples/s",
        better="maximize",
        about="samples per second over all streams",
        source="measurement",
        derive=estimates.throughput,
        adjective="fast",
        timed=True,
        speed=True,
        concurrent=True,
        replayed=True,
        summarised=True,
    ),
    Metric(
        name="variation",
        unit=DIMENSIONLESS,
        better="minimize",
        about="coefficient of variation of the time",
        source="measurement",
        derive=_variation,
        adjective="small",
        replayed=True,
    ),
    Metric(
        name="energy_mj",
        unit="mJ",
        better="minimize",
        about="energy of one inference, the whole device's",
        source="measurement",
        derive=estimates.energy,
        adjective="small",
        timed=True,
        speed=True,
    ),
    _state("power_w", "W", "minimize", "power of the device while it runs"),
    _state("clock_mhz", "MHz", "maximize", "clock of the processor while it runs"),
    _error(
        DEFAULT_ERROR,
        "relative L2 error of the worst output",
        partial(_field, name="error"),
        replayed=True,
        summarised=True,
    ),
    _error(
        "max_abs_error", "largest absolute difference in any output", partial(_field, name="max_abs_error")
    ),
    _error(
        "mean_abs_error",
        "mean absolute difference in the worst output",
        partial(_worst_output, measure="mean_abs", pick=max),
    ),
    _agreement(
        "cosine",
        DIMENSIONLESS,
        "cosine between the worst output and what is right",
        "cosine",
        replayed=True,
    ),
    _agreement("snr_db", "dB", "signal to noise ratio of the worst output", "snr_db", replayed=True),
    _agreement(
        "top1_agreement",
        DIMENSIONLESS,
        "share of samples with the highest score in the right place",
        "top1",
    ),
    Metric(
        name="engine_bytes",
        unit="bytes",
        better="minimize",
        about="size of the engine on disk",
        source="engine",
        derive=partial(_field, name="size_bytes"),
        adjective="small",
        exact=True,
        replayed=True,
        summarised=True,
    ),
    Metric(
        name="build_seconds",
        unit="s",
        better="minimize",
        about="time that building the engine took",
        source="engine",
        derive=_build_seconds,
        adjective="fast",
        replayed=True,
        summarised=True,
    ),
    _memory("memory_bytes", "growth of peak resident memory while the engine is loaded and run"),
    _memory("device_memory_bytes", "memory of the device that the loaded engine holds"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
