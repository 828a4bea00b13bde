"""What Linux tells of the host's processors between blocks: clocks, waiting for a core, and energy."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from engines.telemetry import QueryProbe

# asking a core for its clock interrupts it, and cores at work have about the same
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
    """What counts by name have grown by since each was first seen.

    A count that fell has begun again: at its range, or at 0 where it has none, its name taken by another.
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

    Behind a block, kernel and interpreter are cold, so files stay open and threads are looked for only every
    so often; those that come and go meanwhile are missed.
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
    """What all processor packages took, in millijoules, by RAPL, which only root may read as a rule."""
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
