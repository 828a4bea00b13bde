"""What is known of a measurement besides its latencies: how it was taken, and the machine meanwhile."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dashboards.words import formats
from engines.core.results import Block, Measurement
from engines.statistics import estimates
from engines.statistics.jitter import jitter
from studies.core.records import TrialRecord

STATES: Mapping[str, tuple[str, str]] = {
    "clock_mhz": ("clock", "MHz"),
    "memory_clock_mhz": ("memory clock", "MHz"),
    "power_w": ("power", "W"),
    "temperature_c": ("temperature", "°C"),
}
_REASON = "throttled_"


class Range(NamedTuple):
    """A state of the machine over the blocks of a measurement, in its own unit."""

    mean: float
    low: float
    high: float


def states(blocks: Sequence[Block]) -> dict[str, Range]:
    """Return the states that were read around the blocks, by name."""
    told = {name: [one.telemetry[name] for one in blocks if name in one.telemetry] for name in STATES}
    return {
        name: Range(float(np.mean(values)), min(values), max(values))
        for name, values in told.items()
        if values
    }


def throttled(blocks: Sequence[Block]) -> dict[str, float]:
    """Return the throttle reasons, each with its share of the blocks."""
    reasons = sorted({name for block in blocks for name in block.telemetry if name.startswith(_REASON)})
    return {
        reason.removeprefix(_REASON): sum(reason in block.telemetry for block in blocks) / len(blocks)
        for reason in reasons
    }


def waited(blocks: Sequence[Block]) -> float | None:
    """Return the time that threads waited for a core divided by the time measured; None if unknown."""
    told = [block for block in blocks if "waited_seconds" in block.telemetry]
    seconds = sum(block.span_seconds for block in told)
    return sum(block.telemetry["waited_seconds"] for block in told) / seconds if seconds else None


def disturbances(blocks: Sequence[Block]) -> tuple[str, ...]:
    """Return the reasons to discard blocks, each once."""
    return tuple(dict.fromkeys(block.disturbed for block in blocks if block.disturbed))


def is_pruned(trial: TrialRecord) -> bool:
    """Return whether racing stopped its measurement early."""
    return trial.measurement is not None and trial.measurement.pruned


def marks_of(trial: TrialRecord) -> tuple[str, ...]:
    """Return short marks of the trial, such as reused or stopped early."""
    measurement = trial.measurement
    marks = ["reused"] if trial.reused else []
    if trial.same_as is not None:
        marks.append(f"same engine as trial {trial.same_as}")
    if measurement is None:
        return tuple(marks)
    if measurement.pruned:
        marks.append("stopped early")
    # a reason begins with its kind
    kinds = [reason.partition(":")[0] for reason in disturbances(measurement.blocks)]
    return (*marks, *dict.fromkeys(kinds))


def how_measured(measurement: Measurement) -> str:
    """Return in words how many blocks a measurement has, whether they sufficed, which are discarded."""
    blocks, discarded = measurement.blocks, measurement.discarded
    ended = (
        "stopped early as clearly worse"
        if measurement.pruned
        else "converged"
        if measurement.converged
        else "not converged"
    )
    parts = [f"{formats.plural(len(blocks), 'block')}, {ended}"]
    if discarded:
        parts.append(f"{len(discarded):,} discarded ({', '.join(disturbances(discarded))})")
    spoiled = [block for block in blocks if block.disturbed]
    if spoiled:
        parts.append(f"{len(spoiled):,} disturbed ({', '.join(disturbances(spoiled))})")
    return "; ".join(parts)


def facts(measurement: Measurement) -> dict[str, str]:
    """Return everything that is known of a measurement, by name."""
    blocks = measurement.blocks
    told = {
        "samples": f"{estimates.sample_count(measurement):,}",
        "measured in": how_measured(measurement),
        **{STATES[name][0]: range_text(name, found) for name, found in states(blocks).items()},
    }
    reasons = [f"{reason} in {formats.percent(part)}" for reason, part in throttled(blocks).items()]
    if reasons:
        told["clocks held by"] = f"{', '.join(reasons)} of the blocks"
    uneven = jitter(blocks)
    if uneven is not None:
        told["jitter"] = f"{formats.number(uneven, 3)} times from the 10th to the 90th percentile"
    waiting = waited(blocks)
    if waiting is not None:
        told["waited for a core"] = f"{formats.share(waiting)} of the time"
    return told


def range_text(name: str, found: Range) -> str:
    """Return a state with its unit: its mean, and its ends where they differ from each other as written."""
    mean, low, high = (formats.number(value, 3) if value < 10 else f"{value:,.0f}" for value in found)
    unit = STATES[name][1]
    return f"{mean} {unit}" if low == high else f"{mean} {unit} ({low} to {high})"
