"""Describe this host: its processor, the cores and memory a process may use, and the memory that it used."""

import ctypes
import gc
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from engines.machine.device import Device, this_host
from engines.machine.telemetry import QueryProbe

CACHE_BYTES = 64 << 20
UNITS = {"K": 10, "M": 20}
_STATUS = Path("/proc/self/status")


def processor_name() -> str:
    """Return the model of the CPU, as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def device() -> Device:
    """Return the machine of this host's processors."""
    return Device(this_host(), "cpu", "cpu", processor_name())


def available_cores() -> int:
    """Return the cores that this process may use, by its affinity and the quota of its control group."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _quota_cores() or affinity))


def total_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def last_level_cache_bytes(root: Path = Path("/")) -> int:
    """Return the size of the largest cache of the first core; 64 MiB if the system does not report it."""
    files = (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    sizes = [file.read_text().strip() for file in files]
    return max((int(size[:-1]) << UNITS[size[-1]] for size in sizes if size), default=0) or CACHE_BYTES


def system_name() -> str:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def restart_memory_peak() -> int | None:
    """Reset the peak of resident memory and return the bytes resident now; None if the system cannot."""
    gc.collect()
    _give_back_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    except OSError:
        return None
    return _status_bytes("VmRSS")


def _give_back_freed_memory() -> None:
    """Return freed memory to the system: what glibc keeps of earlier engines would hide the next one's
    use.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_peak() -> int | None:
    """Return the most bytes resident since the peak was reset."""
    return _status_bytes("VmHWM")


def _status_bytes(field: str) -> int | None:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _quota_cores() -> int | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))


# reading a core's clock interrupts it, and busy cores have about the same clock
CLOCKS_READ = 4


def probe(root: Path = Path("/")) -> QueryProbe:
    """Reads this host, whose files are below `root`."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    clocks = [root / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq" for core in cores]
    return QueryProbe(
        states={"clock_mhz": partial(_mean_clock_mhz, clocks[:CLOCKS_READ])},
        counters={
            "waited_seconds": Counter(Waits(root / "proc/self/task"), 1e-9),
            "energy_mj": _energy(root / "sys/class/powercap"),
        },
    )


class Counter:
    """Return how much each counter has grown since it was first seen.

    A counter that fell has wrapped around at its range, or, without one, belongs to something new of the same
    name.
    """

    def __init__(
        self, counts: Callable[[], Mapping[str, int]], unit: float, ranges: Mapping[str, int] | None = None
    ) -> None:
        self._counts, self._unit, self._ranges = counts, unit, ranges or {}
        self._last: Mapping[str, int] = {}
        self._total = 0

    def __call__(self) -> float:
        counts = self._counts()
        self._total += sum(self._growth(name, count) for name, count in counts.items())
        self._last = counts
        return self._total * self._unit

    def _growth(self, name: str, count: int) -> int:
        last = self._last.get(name, count)
        return count - last if count >= last else count + max(0, self._ranges.get(name, 0) - last)


def _mean_clock_mhz(files: Sequence[Path]) -> float:
    return sum(map(_number, files)) / len(files) / 1e3


class Waits:
    """Nanoseconds that each thread of this process could have run and waited for a core, by schedstat.

    After a block, kernel and interpreter are cold, so files stay open and threads are listed only now and
    then; threads that start and end meanwhile are missed.
    """

    def __init__(self, tasks: Path, search_seconds: float = 1.0) -> None:
        self._tasks, self._search_seconds = str(tasks), search_seconds
        self._files: dict[str, int] = {}
        self._searched_at = -math.inf

    def __call__(self) -> dict[str, int]:
        now = time.monotonic()
        if now >= self._searched_at + self._search_seconds:
            self._searched_at = now
            with os.scandir(self._tasks) as threads:
                self._follow({thread.name for thread in threads})
        waited = {}
        for thread, file in self._files.items():
            with suppress(ProcessLookupError):  # it has just ended
                waited[thread] = _second(os.pread(file, 256, 0))
        if not waited:
            raise FileNotFoundError(f"no schedstat in {self._tasks}")
        return waited

    def _follow(self, living: set[str]) -> None:
        for thread in self._files.keys() - living:
            os.close(self._files.pop(thread))
        for thread in living - self._files.keys():
            with suppress(FileNotFoundError, ProcessLookupError):
                self._files[thread] = os.open(f"{self._tasks}/{thread}/schedstat", os.O_RDONLY)


def _energy(folder: Path) -> Callable[[], float]:
    """The energy of all processor packages in millijoules, from RAPL, which usually only root may read."""
    ranges = {str(file.parent): _number(file) for file in folder.glob("intel-rapl:?/max_energy_range_uj")}

    def counts() -> dict[str, int]:
        if not ranges:
            raise FileNotFoundError(f"no RAPL in {folder}")
        return {package: _number(Path(package, "energy_uj")) for package in ranges}

    return Counter(counts, 1e-3, ranges)


def _number(file: Path) -> int:
    return int(file.read_bytes())


def _second(fields: bytes) -> int:
    return int(fields.split()[1])
