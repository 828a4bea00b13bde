import os
from pathlib import Path

import pytest

from engines import cpu
from engines.backends.onnxruntime import OnnxRuntime, most_threads
from engines.backends.onnxruntime_session import Flush
from engines.values import NOTHING, Settings
from tests.contracts.backend import BackendContract

SETTINGS = Settings(streams=1, intra_op_threads=1, execution_mode="sequential")


class TestOnnxRuntime(BackendContract):
    name = OnnxRuntime.name


@pytest.mark.parametrize(
    ("changed", "threads"),
    [
        ({}, 1),
        ({"streams": 4}, 4),
        ({"intra_op_threads": 3}, 3),
        ({"intra_op_threads": 3, "streams": 2}, 4),
        ({"intra_op_threads": 0}, os.cpu_count()),
        ({"execution_mode": "parallel"}, os.cpu_count()),
    ],
)
def test_threads_that_can_run_at_once_are_counted(changed: dict[str, int], threads: int) -> None:
    assert most_threads(Settings(SETTINGS, **changed)) == threads


def test_an_engine_that_is_not_open_takes_no_core() -> None:
    reading = OnnxRuntime(NOTHING, Path()).probe().read()
    assert reading.values["free_cores"] == cpu.available_cores()


def test_flushing_changes_twice_the_cache_each_time() -> None:
    flush = Flush(4096)
    for times in (1, 2):
        flush()
        assert len(flush._memory) == 2 * 4096
        assert set(flush._memory) == {times}
