"""Studies of the fake with and without another process, as the benchmark counts them."""

from pathlib import Path

import pytest

import tuner
from benchmarks import jitter
from tests.workloads import tiny_conv


@pytest.mark.parametrize(("waiting", "uneven"), [(0.0, (0, 0)), (0.3, (3, 1))])
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
        self_test=0,
        finalists=0,
        racing=False,
        backend=f"fake:waiting={waiting}",
        workspace=tmp_path / "w",
    )
    monkeypatch.setattr("sys.argv", ["jitter", str(tmp_path / "w" / "studies.db")])
    jitter.main()
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    # the baseline has no CUDA graph
    with_graph, without = uneven
    for name in ("net", "all"):
        assert f" {with_graph} of 3 uneven" in lines[name]
        assert f" {without} of 1 uneven" in lines[name]
