import os

import numpy as np
import pytest

from engines import cpu


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
