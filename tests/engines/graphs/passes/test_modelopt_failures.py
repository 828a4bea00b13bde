"""What ModelOpt cannot do and how it fails, by a stand-in for the other Python."""

import os
from pathlib import Path

import numpy as np
import pytest

from engines.core.errors import EngineError
from engines.graphs.passes import modelopt
from engines.graphs.passes.modelopt import Environment, autocast, quantize, save_batches
from tests.engines.graphs.other_python import WRITES, batches, other_python
from tests.engines.graphs.running import example

NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("mode", "method", "keep", "high", "said"),
    [
        ("int8", "percentile", NOTHING, "fp32", "no calibration by percentile"),
        ("int8", "minmax", frozenset({"Gemm_0"}), "bf16", "cannot calibrate a graph in bf16"),
        ("int4", "minmax", NOTHING, "bf16", "cannot calibrate a graph in bf16"),
    ],
)
def test_what_it_cannot_do_is_refused_without_asking_it(
    mode: str, method: str, keep: frozenset[str], high: str, said: str, tmp_path: Path, model: Path
) -> None:
    environment = other_python(tmp_path, WRITES)
    with pytest.raises(EngineError, match=said):
        quantize(environment, model, mode, method, keep, None, high, tmp_path / "made.onnx")
    assert not list(tmp_path.glob("call-*"))


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (
            "print('INFO: all is well')\nraise ValueError('no such tensor')",
            "ModelOpt failed: ValueError: no such tensor",
        ),
        (
            "import os\nprint('RuntimeError: at last')\nprint('cleaning up')\nsys.exit(3)",
            "ModelOpt failed: RuntimeError: at last",
        ),
        ("print('it says no more'); sys.exit(1)", "ModelOpt failed: it says no more"),
        ("sys.exit(1)", "it does not say why"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ModelOpt died of SIGSEGV"),
        ("pass", "ModelOpt failed"),
    ],
)
def test_failure_message_is_the_last_meaningful_line(
    does: str, said: str, tmp_path: Path, model: Path
) -> None:
    with pytest.raises(EngineError, match=said):
        autocast(other_python(tmp_path, does), model, "fp16", NOTHING, None, tmp_path / "made.onnx")
    assert not (tmp_path / "made.onnx").exists()


def test_one_that_is_killed_ran_out_of_memory(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(EngineError, match="lack of memory") as failure:
        autocast(environment, model, "fp16", NOTHING, None, tmp_path / "made.onnx")
    assert failure.value.kind == "out_of_memory"


def test_one_that_never_ends_is_stopped(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelopt, "LONGEST_SECONDS", 0.5)
    environment = other_python(tmp_path, "time.sleep(600)")
    with pytest.raises(EngineError, match="still not done") as failure:
        autocast(environment, model, "fp16", NOTHING, None, tmp_path / "made.onnx")
    assert failure.value.kind == "timeout"


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path, model: Path) -> None:
    does = """
        import signal
        (folder / "pid").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(600)
    """
    with pytest.raises(KeyboardInterrupt):
        autocast(other_python(tmp_path, does), model, "fp16", NOTHING, None, tmp_path / "made.onnx")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_success_that_changed_nothing_is_a_failure(tmp_path: Path, model: Path) -> None:
    environment = other_python(tmp_path, WRITES, example("mlp"))
    with pytest.raises(EngineError, match="quantized nothing"):
        quantize(environment, model, "int8", "entropy", NOTHING, None, "fp32", tmp_path / "made.onnx")
    with pytest.raises(EngineError, match="lowered nothing"):
        autocast(environment, model, "fp16", NOTHING, None, tmp_path / "made.onnx")


def test_batches_of_several_shapes_are_refused(tmp_path: Path, model: Path) -> None:
    data = save_batches([*batches(1), {"features": np.zeros((4, 32), np.float32)}], tmp_path / "data")
    with pytest.raises(EngineError, match="batches of one shape"):
        quantize(
            other_python(tmp_path, WRITES), model, "int8", "entropy", NOTHING, data, "fp32", tmp_path / "made"
        )


def test_a_python_that_is_gone_is_a_failed_candidate(tmp_path: Path, model: Path) -> None:
    with pytest.raises(EngineError, match="cannot be started"):
        autocast(
            Environment(str(tmp_path / "gone"), "0"), model, "fp16", NOTHING, None, tmp_path / "made.onnx"
        )
