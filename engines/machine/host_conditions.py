"""Check what makes a Linux host noisy: power settings, limits, and other programs.

Everything is read from files below /proc and /sys; a condition without its file is unknown.
"""

import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from engines.machine.conditions import Check, Condition, Finding, examine

# shares above which others disturb: of the cores, of the time of a core, of the last ten seconds
BUSY_SHARE, STOLEN_SHARE, PRESSURE_SHARE = 0.05, 0.01, 0.01
LOAD_PER_CORE = 0.5
CPU = "sys/devices/system/cpu"
QUICK_CLOCKS = ("tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "timebase")
SLOW_CLOCKS = ("hpet", "acpi_pm", "xen", "jiffies", "refined-jiffies", "pit")
# any system has swapped out this much for good
LITTLE_SWAP_MIB = 64
UNTOLD = (OSError, ValueError, LookupError, ZeroDivisionError)


def own_cores() -> frozenset[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


@dataclass(frozen=True)
class Host:
    """A Linux system: its files below `root`, and the cores that this process may use."""

    root: Path = Path("/")
    cores: frozenset[int] = field(default_factory=own_cores)

    def read(self, path: str) -> str:
        """The text of a file; raises OSError."""
        return (self.root / path).read_text().strip()


def states(host: Host) -> tuple[Condition, ...]:
    """Check how the host is set up, and its load of the last seconds."""
    return examine(STATES, host, unavailable=UNTOLD)


def counters(host: Host) -> dict[str, float]:
    """Return the counters that the system has: ticks of this process's cores, stalls and pages."""
    counts: dict[str, float] = {}
    for count in _COUNTS:
        with suppress(*UNTOLD):
            counts |= count(host)
    return counts


def while_idle(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[Condition, ...]:
    """Check what others did between two readings of the counters, while this process was idle."""
    return examine(WHILE_IDLE, _growth(before, after), unavailable=UNTOLD)


def while_busy(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[Condition, ...]:
    """Check what this process was denied between two readings of the counters, while it worked."""
    return examine(WHILE_BUSY, _growth(before, after), unavailable=UNTOLD)


def _governor(host: Host) -> Finding:
    names = {host.read(f"{CPU}/cpu{core}/cpufreq/scaling_governor") for core in host.cores}
    return names != {"performance"}, ", ".join(sorted(names))


def _turbo(host: Host) -> Finding:
    try:
        on = host.read(f"{CPU}/intel_pstate/no_turbo") == "0"
    except OSError:
        on = host.read(f"{CPU}/cpufreq/boost") == "1"
    return on, "on" if on else "off"


def _cores(host: Host) -> Finding:
    return len(host.cores) < 2, _plural(len(host.cores), "core")


def _quota(host: Host) -> Finding:
    cores = min((_cores_of_quota(host, group) for group in _groups(host)), default=math.inf)
    if cores >= len(host.cores):
        return False, "none"
    return True, f"{cores:.3g} of {_plural(len(host.cores), 'core')}, by a quota"


def _smt(host: Host) -> Finding:
    listed = (host.read(f"{CPU}/cpu{core}/topology/thread_siblings_list") for core in host.cores)
    shared = {threads for text in listed if len(threads := _numbers(text) & host.cores) > 1}
    if not shared:
        return False, "one thread a core"
    return True, f"{_plural(len(shared), 'core')} with several threads each"


def _virtual(host: Host) -> Finding:
    flags = re.search(r"^flags\s*:(.*)$", host.read("proc/cpuinfo"), re.MULTILINE)
    if flags is None:
        raise LookupError
    virtual = "hypervisor" in flags[1].split()
    return virtual, "yes; others on the same host cannot be seen from inside" if virtual else "no"


def _load(host: Host) -> Finding:
    load = float(host.read("proc/loadavg").split()[0])
    # of the whole host, as the load is, and not of the cores that we may use
    cores = len(re.findall(r"^cpu\d", host.read("proc/stat"), re.MULTILINE))
    return load > LOAD_PER_CORE * cores, f"{load:.2g} on {_plural(cores, 'core')}"


def _memory_pressure(host: Host) -> Finding:
    waiting = re.search(r"some avg10=([\d.]+)", host.read("proc/pressure/memory"))
    if waiting is None:
        raise LookupError
    share = float(waiting[1]) / 100
    return share > PRESSURE_SHARE, f"{_percent(share)} of the last 10 s"


def _swap(host: Host) -> Finding:
    mebibytes = sum(int(line.split()[3]) for line in host.read("proc/swaps").splitlines()[1:]) / 1024
    return mebibytes > LITTLE_SWAP_MIB, f"{mebibytes:,.0f} MiB" if mebibytes else "none"


def _time_source(host: Host) -> Finding:
    name = host.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
    return (name in SLOW_CLOCKS if name in QUICK_CLOCKS + SLOW_CLOCKS else None), name


def _others(growth: Mapping[str, float]) -> Finding:
    share = growth["busy_ticks"] / growth["ticks"]
    return share > BUSY_SHARE, f"{_percent(share)} of the cores"


def _stolen(growth: Mapping[str, float]) -> Finding:
    share = growth["stolen_ticks"] / (growth["busy_ticks"] + growth["stolen_ticks"])
    return share > STOLEN_SHARE, f"{_percent(share)} of the time that was wanted"


def _counted(name: str) -> Callable[[Mapping[str, float]], Finding]:
    def look(growth: Mapping[str, float]) -> Finding:
        return growth[name] > 0, _plural(int(growth[name]), "time") if growth[name] else "none"

    return look


STATES = (
    Check("governor", _governor, "Set it: cpupower frequency-set -g performance."),
    Check(
        "turbo", _turbo, "Clocks depend on load and heat: turn it off (intel_pstate/no_turbo, cpufreq/boost)."
    ),
    Check("cores", _cores, "Allow at least two cores: other programs would take the only one."),
    Check(
        "CPU quota", _quota, "Give whole cores instead of a share of time, such as docker's --cpuset-cpus."
    ),
    Check(
        "threads of a core",
        _smt,
        "Use one of each (taskset -c; lscpu -e lists them), or as many threads as cores.",
    ),
    Check(
        "virtual machine",
        _virtual,
        "Measure on bare metal, or ignore differences below the noise that doctor measured.",
    ),
    Check("load of the last minute", _load, "Wait until it has fallen; top shows whose it is."),
    Check(
        "waiting for memory", _memory_pressure, "Stop what needs the memory, or measure something smaller."
    ),
    Check("swap in use", _swap, "Free memory, then swapoff -a and swapon -a bring back what was moved out."),
    Check(
        "time source",
        _time_source,
        "Reading it is slow: boot with clocksource=tsc if the CPU's TSC is stable.",
    ),
)
WHILE_IDLE = (
    Check("other programs now", _others, "Stop them, or wait until they are done; top shows them."),
)
WHILE_BUSY = (
    Check("stolen by the host", _stolen, "Other virtual machines take it: ask for cores of its own."),
    Check("stopped by the quota", _counted("quota_stops"), "Raise the quota, or use fewer threads."),
    Check("swapping", _counted("swapped_pages"), "Free memory, or measure something smaller."),
    Check(
        "throttling by heat",
        _counted("heat_stops"),
        "Cool it, or hold its clocks lower (cpupower frequency-set -u).",
    ),
)


def _count_ticks(host: Host) -> dict[str, float]:
    """Proc(5): user nice system idle iowait irq softirq steal, in ticks, guests' among the user's."""
    rows = re.findall(r"^cpu(\d+) (.*)$", host.read("proc/stat"), re.MULTILINE)
    ours = [[int(ticks) for ticks in row.split()[:8]] for core, row in rows if int(core) in host.cores]
    user, nice, system, idle, waiting, hard, soft, stolen = map(sum, zip(*ours, strict=True))
    busy = user + nice + system + hard + soft
    return {"ticks": busy + idle + waiting + stolen, "busy_ticks": busy, "stolen_ticks": stolen}


def _count_quota_stops(host: Host) -> dict[str, float]:
    found = []
    for group in _groups(host):
        with suppress(OSError):
            found += re.findall(r"^nr_throttled (\d+)$", host.read(f"{group}/cpu.stat"), re.MULTILINE)
    return {"quota_stops": sum(map(int, found))} if found else {}


def _count_swapped_pages(host: Host) -> dict[str, float]:
    moved = re.findall(r"^pswp(?:in|out) (\d+)$", host.read("proc/vmstat"), re.MULTILINE)
    return {"swapped_pages": sum(map(int, moved))} if moved else {}


def _count_heat_stops(host: Host) -> dict[str, float]:
    stops = [int(host.read(f"{CPU}/cpu{core}/thermal_throttle/core_throttle_count")) for core in host.cores]
    return {"heat_stops": sum(stops)}


_COUNTS = (_count_ticks, _count_quota_stops, _count_swapped_pages, _count_heat_stops)


def _growth(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - value for name, value in before.items() if name in after}


def _groups(host: Host) -> list[str]:
    """Return the folders of this process's control group and its parents, in both versions of the
    interface.
    """
    folders = []
    for line in host.read("proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = "sys/fs/cgroup/cpu" if controllers else "sys/fs/cgroup"
        path = PurePosixPath(group)
        folders += [f"{top}{one}" for one in (path, *path.parents)]
    return folders


def _cores_of_quota(host: Host, group: str) -> float:
    """Return the cores that a group's quota amounts to; infinity without one."""
    try:
        quota, period = host.read(f"{group}/cpu.max").split()
    except OSError:
        try:
            quota, period = (host.read(f"{group}/cpu.cfs_{name}_us") for name in ("quota", "period"))
        except OSError:
            return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)


def _numbers(ranges: str) -> frozenset[int]:
    """Return the numbers in a list such as 0,4-7."""
    parts = [part.partition("-") for part in ranges.split(",")]
    return frozenset(number for low, _, high in parts for number in range(int(low), int(high or low) + 1))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
