"""What is printed of a measured engine, with the parts of a GPU."""

import numpy as np
import pytest

from engines.core.results import Block
from tests.engines.statistics.test_trtexec import four
from tests.tuner.measured_engines import measured
from tuner.output.measured import notes, print_like_trtexec, print_measured


def test_trtexecs_lines_are_marked_as_its_log_marks_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_like_trtexec(measured(four(enqueue_ms=[9.0] * 4)), 11)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "[I] Warmup completed 21 queries over 200 ms",
        "[I] Timing trace has 4 queries over 0.02 s",
        "[I]",
        "[I] === Performance summary ===",
    ]
    assert lines[-4].startswith("[W] * Throughput may be bound by Enqueue Time")
    assert lines[-3] == "[W]   If you are using --noCudaGraph, removing it may increase throughput."


def test_enqueue_and_copy_times_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    block = Block(np.ones(4), 1.0, 0.0, telemetry={"enqueue_ms": 0.25, "h2d_ms": 0.5, "clock_mhz": 1755.0})
    print_measured(measured(block))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "enqueue_ms (apart) 0.2500 ms" in lines
    assert "h2d_ms (apart) 0.5000 ms" in lines


@pytest.mark.parametrize(("captured", "said"), [(0.0, True), (1.0, False)])
def test_missing_cuda_graph_is_reported(captured: float, said: bool) -> None:
    block = Block(np.ones(4), 1.0, 0.0, telemetry={"cuda_graph": captured})
    told = notes(measured(block, cuda_graph=True))
    assert any("cannot be captured" in note for note in told) == said
