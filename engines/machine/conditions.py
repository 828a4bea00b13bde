"""Check conditions that make measurements vary, and say what a user can do about each.

Nothing is ever changed: the machine may be shared, and its settings belong to its owner.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engines.core.results import Block
from engines.statistics.jitter import is_uneven, jitter

Verdict = Literal["fine", "noisy", "unknown"]
# whether it disturbs measurements (None if unknown), and what was found in a few words
Finding = tuple[bool | None, str]

NOT_AVAILABLE = "not available on this machine"
# clocks that stay within this count as locked
STEADY_WITHIN = 0.01
# share of the timed blocks, summed over threads; on quiet machines it is up to 0.03
WAITING_SHARE = 0.05


@dataclass(frozen=True)
class Condition:
    """`advice` is one sentence, empty if there is nothing to do."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Check:
    """An entry in a table of checks: how to look, and what to do if it disturbs."""

    name: str
    look: Callable[..., Finding]
    advice: str


def examine(
    checks: Sequence[Check], *of: object, unavailable: tuple[type[Exception], ...]
) -> tuple[Condition, ...]:
    """Return a condition for each check; one that raises one of `unavailable` is unknown."""
    return tuple(_condition(check, of, unavailable) for check in checks)


def in_test(blocks: Sequence[Block], on_cpu: bool) -> tuple[Condition, ...]:
    """Check the telemetry of timed blocks, for conditions that show only under load."""
    return examine(CPU_IN_TEST if on_cpu else GPU_IN_TEST, blocks, unavailable=(LookupError,))


def _condition(check: Check, of: tuple[object, ...], unavailable: tuple[type[Exception], ...]) -> Condition:
    try:
        noisy, found = check.look(*of)
    except unavailable:
        return Condition(check.name, "unknown", NOT_AVAILABLE)
    if noisy is None:
        return Condition(check.name, "unknown", found, check.advice)
    return (
        Condition(check.name, "noisy", found, check.advice) if noisy else Condition(check.name, "fine", found)
    )


def _clock(blocks: Sequence[Block]) -> Finding:
    clocks = [block.telemetry["clock_mhz"] for block in blocks]
    low, high = min(clocks, default=0.0), max(clocks, default=0.0)
    if not high:
        raise LookupError
    if high - low <= STEADY_WITHIN * high:
        return False, f"{high:,.0f} MHz in the test"
    return True, f"{low:,.0f} to {high:,.0f} MHz in the test"


def _throttling(blocks: Sequence[Block]) -> Finding:
    if not any(block.telemetry for block in blocks):
        raise LookupError
    reasons = {name for block in blocks for name in block.telemetry if name.startswith("throttled_")}
    held = [block for block in blocks if reasons & block.telemetry.keys()]
    if not held:
        return False, f"in none of {len(blocks)} timed blocks"
    names = ", ".join(sorted(name.removeprefix("throttled_") for name in reasons))
    return True, f"in {len(held)} of {len(blocks)} timed blocks: {names}"


def _waiting(blocks: Sequence[Block]) -> Finding:
    seconds = sum(block.telemetry["waited_seconds"] for block in blocks)
    span = sum(block.span_seconds for block in blocks)
    if not span:
        raise LookupError
    return seconds > WAITING_SHARE * span, f"{100 * seconds / span:.1f} % of the test"


def _sharing(blocks: Sequence[Block]) -> Finding:
    uneven = is_uneven(blocks)
    if uneven is None:
        return None, "hidden by launching, or too few inferences: try a larger model or a longer test"
    return uneven, f"the 90th percentile of latencies is {jitter(blocks):.2f} times the 10th"


CLOCK = Check(
    "clock under load", _clock, "Warm it up for longer, or lock it: nvidia-smi -lgc MHZ, -rgc to undo."
)
CPU_IN_TEST = (
    replace(CLOCK, advice="Set the governor to performance and turn turbo off."),
    Check("waiting for a core", _waiting, "Stop other programs, or use fewer threads than there are cores."),
)
GPU_IN_TEST = (
    CLOCK,
    Check(
        "throttling under load", _throttling, "Cool it, or lock clocks that it can hold: nvidia-smi -lgc MHZ."
    ),
    Check(
        "sharing under load",
        _sharing,
        "If something else uses the GPU, wait until it ends, or choose another GPU.",
    ),
)
