"""The defaults of trtexec by major version, and the summary that it prints.

From samples/common of NVIDIA/TensorRT: sampleOptions.h, sampleInference.cpp and sampleReporting.cpp of 10.15
and 11. It computes in single precision and this in double; both print six digits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engines.core.results import Measurement
from engines.core.values import Policy, Samples
from engines.statistics.estimates import median, percentile

WARM_UP_SECONDS = 0.2
DURATION_SECONDS = 3.0
ITERATIONS = 10
PERCENTILES = (90, 95, 99)
# it warns above these shares of the median compute time, and this coefficient of variation in percent
ENQUEUE_BOUND, TRANSFER_BOUND, UNSTABLE = 0.8, 1.0, 2.5
# what each latency is made of, in the order printed
PARTS = {
    "enqueue_ms": "Enqueue Time",
    "h2d_ms": "H2D Latency",
    "compute_ms": "GPU Compute Time",
    "d2h_ms": "D2H Latency",
}


@dataclass(frozen=True)
class Version:
    """The defaults of a major version, and the advice that it prints."""

    transfers: bool
    spin_wait: bool
    cuda_graph: bool
    enqueue_advice: str
    transfer_advice: str
    unstable_advice: str


VERSIONS: Mapping[int, Version] = {
    10: Version(
        transfers=True,
        spin_wait=False,
        cuda_graph=False,
        enqueue_advice="If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may "
        "increase the throughput.",
        transfer_advice="Add --noDataTransfers flag to disable data transfers.",
        unstable_advice="If not already in use, locking GPU clock frequency or adding --useSpinWait may "
        "improve the stability.",
    ),
    11: Version(
        transfers=False,
        spin_wait=True,
        cuda_graph=True,
        enqueue_advice="If you are using --noCudaGraph, removing it may increase throughput.",
        transfer_advice="Consider removing --includeDataTransfers to disable data transfers and potentially "
        "increase throughput.",
        unstable_advice="If not already in use, locking GPU clock frequency may improve the stability.",
    ),
}


@dataclass(frozen=True)
class Times:
    """The statistics of one kind of time in milliseconds, with the coefficient of variation in percent."""

    minimum: float
    maximum: float
    mean: float
    median: float
    percentiles: tuple[float, ...]
    variation: float


@dataclass(frozen=True)
class Summary:
    """Trtexec's performance summary: `queries` are inferences of any batch, `walltime` is in seconds.

    `parts` has the times of each of PARTS; it is empty if latencies were not split into parts.
    """

    queries: int
    walltime: float
    latency: Times
    parts: Mapping[str, Times]

    @property
    def throughput(self) -> float:
        """Queries per second."""
        return self.queries / self.walltime

    @property
    def compute_walltime(self) -> float | None:
        """The sum of the GPU times of all queries, in seconds; None if not measured."""
        return self.parts["compute_ms"].mean * self.queries / 1e3 if self.parts else None


def policy(of: Version, streams: int) -> Policy:
    """Return the policy that times an engine as this version does; iterations are counted on every stream."""
    return Policy(
        warmup_seconds=WARM_UP_SECONDS,
        minimum_seconds=DURATION_SECONDS,
        maximum_seconds=DURATION_SECONDS,
        block_seconds=DURATION_SECONDS,
        minimum_inferences=ITERATIONS * streams,
        transfers=of.transfers,
        spin_wait=of.spin_wait,
        parts=True,
    )


def summary(measurement: Measurement) -> Summary:
    """Return the summary of all blocks."""
    blocks = measurement.blocks
    latency = np.concatenate([block.latency_ms for block in blocks])
    known = PARTS if all(block.parts.keys() >= PARTS.keys() for block in blocks) else ()
    return Summary(
        queries=len(latency),
        walltime=sum(block.span_seconds for block in blocks),
        latency=times(latency),
        parts={name: times(np.concatenate([block.parts[name] for block in blocks])) for name in known},
    )


def times(samples: Samples) -> Times:
    """Return the statistics of one kind of time, as trtexec defines them."""
    mean, spread = float(np.mean(samples)), float(np.std(samples))
    return Times(
        minimum=float(np.min(samples)),
        maximum=float(np.max(samples)),
        mean=mean,
        median=median(samples),
        percentiles=tuple(percentile(percent)(samples) for percent in PERCENTILES),
        variation=100 * spread / mean if mean else float("inf"),
    )


def prolog_lines(found: Summary, warmup_runs: int, of: Policy) -> list[str]:
    """Return the lines that trtexec prints before the summary."""
    return [
        f"Warmup completed {warmup_runs} queries over {1e3 * of.warmup_seconds:g} ms",
        f"Timing trace has {found.queries} queries over {found.walltime:g} s",
    ]


def summary_lines(found: Summary) -> list[str]:
    """Return trtexec's "Performance summary"; parts that were not measured are left out."""
    lines = [
        "=== Performance summary ===",
        f"Throughput: {found.throughput:g} qps",
        f"Latency: {_line(found.latency)}",
        *(f"{PARTS[name]}: {_line(of)}" for name, of in found.parts.items()),
        f"Total Host Walltime: {found.walltime:g} s",
    ]
    compute = found.compute_walltime
    return lines if compute is None else [*lines, f"Total GPU Compute Time: {compute:g} s"]


def warning_lines(found: Summary, of: Version, streams: int) -> list[str]:
    """Return the warnings of trtexec, each followed by its advice."""
    return [*_part_warnings(found.parts, of), *(_STREAMS if streams > 1 else ())]


_BOUND = "* Throughput may be bound by {} rather than GPU Compute and the GPU may be under-utilized."
# two spaces and three, as there
_STREAMS = (
    "* Multiple inference streams are used. Latencies may not be accurate since inferences may run in   "
    'parallel. Please use "Throughput" as the performance metric instead.',
)


def _part_warnings(parts: Mapping[str, Times], of: Version) -> list[str]:
    if not parts:
        return []
    compute = parts["compute_ms"]
    found: list[tuple[str, str]] = []
    if parts["enqueue_ms"].median > ENQUEUE_BOUND * compute.median:
        found.append((_BOUND.format("Enqueue Time"), of.enqueue_advice))
    for name, what in (
        ("h2d_ms", "host-to-device transfers for the inputs"),
        ("d2h_ms", "device-to-host transfers for the outputs"),
    ):
        if parts[name].median >= TRANSFER_BOUND * compute.median:
            found.append((_BOUND.format(what), of.transfer_advice))
    if compute.variation > UNSTABLE:
        said = f"* GPU compute time is unstable, with coefficient of variance = {compute.variation:g}%."
        found.append((said, of.unstable_advice))
    return [line for warning, advice in found for line in (warning, f"  {advice}")]


def _line(of: Times) -> str:
    percentiles = [
        f"percentile({percent}%) = {value:g} ms"
        for percent, value in zip(PERCENTILES, of.percentiles, strict=True)
    ]
    first = (
        f"min = {of.minimum:g} ms, max = {of.maximum:g} ms, mean = {of.mean:g} ms, median = {of.median:g} ms"
    )
    return ", ".join([first, *percentiles])
