import ctypes
import os
from pathlib import Path

import numpy as np
import pytest

from engines.machine import cpu


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= cpu.available_cores() <= len(os.sched_getaffinity(0))


def test_the_host_is_described() -> None:
    assert cpu.processor_name()
    assert cpu.total_memory_bytes() > 1 << 28
    assert cpu.system_name().startswith("Linux")


def test_the_peak_grows_by_what_was_touched() -> None:
    resident = cpu.restart_memory_peak()
    if resident is None:
        pytest.skip("this system does not let a process restart its memory peak")
    touched = np.ones(64 << 20, dtype=np.uint8)
    peak = cpu.memory_peak()
    assert peak is not None
    assert peak - resident > touched.nbytes * 0.9
    del touched
    again = cpu.restart_memory_peak()
    assert again is not None
    assert again < peak - (32 << 20)


def test_memory_that_was_freed_before_is_counted_where_it_is_used_again() -> None:
    if cpu.restart_memory_peak() is None or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this system does not let a process restart its memory peak, or keeps no freed memory")
    grown = []
    for _ in range(3):
        resident = cpu.restart_memory_peak()
        # too small for the allocator to ask the system for each, and held down by the last
        blocks = [np.ones(64 << 10, dtype=np.uint8) for _ in range(1000)]
        last = blocks.pop()
        peak = cpu.memory_peak()
        assert resident is not None
        assert peak is not None
        grown.append(peak - resident)
        del blocks
    assert last.nbytes
    assert all(one > 60e6 for one in grown)


def test_the_last_level_cache_is_the_largest_that_a_core_uses(tmp_path: Path) -> None:
    for index, size in enumerate(("48K", "32K", "1024K", "32768K")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu0/cache/index{index}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
    assert cpu.last_level_cache_bytes(tmp_path) == 32 << 20


def test_a_cache_that_the_system_does_not_tell_of_is_taken_to_be_large(tmp_path: Path) -> None:
    assert cpu.last_level_cache_bytes(tmp_path) == 64 << 20
