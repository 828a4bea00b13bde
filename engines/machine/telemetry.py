"""Read the machine between blocks, and decide whether the block between two readings was disturbed.

Nothing is read while a block is timed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Reading:
    """The machine at one moment, `at` in seconds of the monotonic clock.

    `values` are states: clock_mhz, memory_clock_mhz, temperature_c, power_w, and free_cores, the cores that
    are free while all threads of the engine run. `counters` only grow: energy_mj, and waited_seconds that
    runnable threads of this process waited for a core. `throttled_by` names the reasons why the clocks are
    held down now, as NVML does, in lower case.
    """

    at: float
    values: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    throttled_by: tuple[str, ...] = ()


class Probe(Protocol):
    """Reads the machine, in far less than a thousandth of a block."""

    def read(self) -> Reading: ...


class NoProbe:
    """A probe of a machine without telemetry."""

    def read(self) -> Reading:
        return Reading(0.0)


class QueryProbe:
    """A probe with a query for each state and counter, by name, and one for the reasons of throttling.

    A query that raises one of `failures` is not repeated.
    """

    def __init__(
        self,
        states: Mapping[str, Callable[[], float]],
        counters: Mapping[str, Callable[[], float]],
        throttled_by: Callable[[], tuple[str, ...]] = tuple,
        failures: tuple[type[Exception], ...] = (OSError, ValueError),
    ) -> None:
        self.states, self.counters = dict(states), dict(counters)
        self.reasons = {"throttled_by": throttled_by}
        self._failures = failures

    def read(self) -> Reading:
        counters = self._ask(self.counters)
        at = time.monotonic()
        reasons = self._ask(self.reasons).get("throttled_by", ())
        return Reading(at, self._ask(self.states), counters, reasons)

    def _ask(self, queries: dict[str, Callable[[], T]]) -> dict[str, T]:
        answers = {}
        for name, query in tuple(queries.items()):
            try:
                answers[name] = query()
            except self._failures:
                del queries[name]
        return answers


# throttling by the hardware; a power cap applies to the whole measurement and does not disturb it
DISTURBING = ("hw_slowdown", "hw_thermal_slowdown", "sw_thermal_slowdown", "hw_power_brake_slowdown")

# seen on two cores: at most 3 % of a block when idle otherwise, 45 % or more beside another program
WAITED = 0.2


def between(before: Reading, after: Reading) -> dict[str, float]:
    """Return the telemetry of the block between two readings.

    States are the mean of both, counters the difference. power_w is energy divided by time if energy is
    counted; else energy_mj is power times time. Each reason for throttling is 1.0 under `throttled_` and its
    name.
    """
    states = {
        name: (before.values[name] + value) / 2
        for name, value in after.values.items()
        if name in before.values
    }
    counted = {
        name: value - before.counters[name]
        for name, value in after.counters.items()
        if name in before.counters
    }
    reasons = {
        f"throttled_{reason}": 1.0 for reason in dict.fromkeys((*before.throttled_by, *after.throttled_by))
    }
    return {**states, **counted, **_energy(states, counted, after.at - before.at), **reasons}


def _energy(states: Mapping[str, float], counted: Mapping[str, float], seconds: float) -> dict[str, float]:
    if counted.get("energy_mj") and seconds > 0:
        return {"power_w": counted["energy_mj"] / 1e3 / seconds}
    return {"energy_mj": states["power_w"] * 1e3 * seconds} if "power_w" in states else {}


def disturbance(before: Reading, after: Reading) -> str:
    """Return why the block between two readings should be repeated; empty if it should not."""
    reasons = [name for name in DISTURBING if name in (*before.throttled_by, *after.throttled_by)]
    if reasons:
        return f"throttled: {', '.join(reasons)}"
    return "others took the cores" if _lacked_cores(before, after) else ""


def _lacked_cores(before: Reading, after: Reading) -> bool:
    """Return whether threads waited long for cores although there was one for each."""
    fit = min(before.values.get("free_cores", -1), after.values.get("free_cores", -1)) >= 0
    waited = between(before, after).get("waited_seconds", 0.0)
    return fit and waited > WAITED * (after.at - before.at)
