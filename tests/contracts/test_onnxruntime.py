import os
from pathlib import Path

import onnx
import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.onnxruntime.backend import OnnxRuntime, most_threads
from engines.backends.onnxruntime.session import Flush
from engines.core.values import NOTHING, Settings
from engines.machine import cpu
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from studies.core.space import candidate_at
from tests.contracts.backend import BackendContract
from tests.workloads import QUICK, tiny_conv, workload_of

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


@pytest.mark.parametrize("level", ["disable_all", "all"])
def test_weights_in_another_file_come_along_with_the_engine(level: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load(tiny_conv(tmp_path)), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    workload = workload_of(path, x=(2, 3, 12, 12))
    session = Session(
        OnnxRuntime(NOTHING, tmp_path), workload, Workspace(tmp_path / "workspace").create(), QUICK
    )
    space = session.backend.dimensions(workload, concurrent=False)
    found = evaluate(session, candidate_at(space, {"graph_optimization_level": level}), lambda stage, _: None)
    assert found.failure is None


def test_an_engine_that_is_not_open_takes_no_core() -> None:
    reading = OnnxRuntime(NOTHING, Path()).probe().read()
    assert reading.values["free_cores"] == cpu.available_cores()


def test_flushing_changes_twice_the_cache_each_time() -> None:
    flush = Flush(4096)
    for times in (1, 2):
        flush()
        assert len(flush._memory) == 2 * 4096
        assert set(flush._memory) == {times}
