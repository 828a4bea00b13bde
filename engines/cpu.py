"""What this host is: its processor, the cores and the memory we may use, and what a process took."""

import ctypes
import gc
import os
import platform
from contextlib import suppress
from pathlib import Path

CACHE_BYTES = 64 << 20
UNITS = {"K": 10, "M": 20}
_STATUS = Path("/proc/self/status")


def processor_name() -> str:
    """The model of the CPU, as the operating system names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def available_cores() -> int:
    """The cores that this process may use: its affinity, and the quota of its control group."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, _quota_cores() or affinity))


def total_memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def last_level_cache_bytes(root: Path = Path("/")) -> int:
    """The largest cache that the first core uses; 64 MiB where the system does not tell."""
    files = (root / "sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    sizes = [file.read_text().strip() for file in files]
    return max((int(size[:-1]) << UNITS[size[-1]] for size in sizes if size), default=0) or CACHE_BYTES


def system_name() -> str:
    return f"{platform.system()} {platform.release()} {platform.machine()}"


def restart_memory_peak() -> int | None:
    """Forgets the peak of resident memory; the bytes resident now, None where the system does not tell."""
    gc.collect()
    _give_back_freed_memory()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    except OSError:
        return None
    return _status_bytes("VmRSS")


def _give_back_freed_memory() -> None:
    """What glibc keeps of earlier engines would make the next one seem to need none."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def memory_peak() -> int | None:
    """The most bytes resident since the peak was restarted."""
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
