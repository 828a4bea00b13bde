"""Studies of the fake with and without another process, as the benchmark counts them."""

import os
import sys
from pathlib import Path

import pytest

import tuner
from benchmarks import jitter
from tests.workloads import tiny_conv


@pytest.mark.parametrize(("waiting", "uneven"), [(0.0, (0, 0)), (0.3, (3, 4))])
def test_uneven_measurements_are_counted_by_study(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    waiting: float,
    uneven: tuple[int, int],
) -> None:
    model = tiny_conv(tmp_path)
    tuner.search(
        model,
        study="net",
        trials=4,
        fix=("streams=1", "cuda_graph=true"),
        self_test=3,
        finalists=0,
        racing=False,
        backend=f"fake:waiting={waiting}",
        workspace=tmp_path / "w",
    )
    output = tmp_path / "out.txt"
    arguments = [str(tmp_path / "w" / "studies.db"), "--title", "at night", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["jitter", *arguments])
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 1.0, 1.0))
    jitter.main()
    printed = capsys.readouterr().out
    assert "at night" in printed
    jitter.main()
    assert output.read_text() == f"{printed}\n" * 2
    lines = {line.split()[0]: line for line in printed.splitlines() if line}
    # neither the baseline nor its self-test is a CUDA graph
    with_graph, without = uneven
    for name in ("net", "all"):
        assert f" {with_graph} of 3 uneven" in lines[name]
        assert f" {without} of 4 uneven" in lines[name]
