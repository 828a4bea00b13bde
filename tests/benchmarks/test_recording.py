import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recording import evaluation_of, load, recording_of, run_of, save
from engines.core.results import Block, Failure, Measurement
from engines.core.values import Candidate
from studies.core.metrics import METRICS
from tests.benchmarks.recordings import recording, row, subject
from tests.records import failed
from tests.studies.repeated import CANDIDATES, evaluation


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = recording(row(0, 2.0), row(1, 1.0))
    save(tmp_path / "a" / "made.json.gz", made)
    assert load(tmp_path / "a" / "made.json.gz") == made


def test_the_same_recording_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        save(tmp_path / name, recording(row(0, 2.0)))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_of_a_block_its_median_and_its_span_are_left() -> None:
    measured = evaluation(CANDIDATES[1], 1.0, error=0.002, noise=0.01)
    run = run_of(3, 1, measured, "latency_ms")
    made = replace(recording(row(0, 2.0), row(1, 1.0)), runs=(run,))
    again = evaluation_of(made, run)
    assert (run.round, run.candidate, run.error) == (3, 1, 0.002)
    assert again.candidate == measured.candidate
    assert measured.measurement is not None
    assert again.measurement is not None
    assert [block.span_seconds for block in again.measurement.blocks] == pytest.approx(
        [block.span_seconds for block in measured.measurement.blocks]
    )
    before, after = (METRICS["latency_ms"].of(one) for one in (measured, again))
    assert before is not None
    assert after is not None
    assert after.value == pytest.approx(before.value, rel=0.01)
    assert after.relative_half_width == pytest.approx(before.relative_half_width, rel=0.05)


def test_a_disturbed_block_is_left_out() -> None:
    measured = evaluation(CANDIDATES[0], 1.0)
    assert isinstance(measured.measurement, Measurement)
    first, *others = measured.measurement.blocks
    bad = Block(9 * first.latency_ms, first.span_seconds, 0.0, disturbed="throttled")
    disturbed = replace(measured, measurement=replace(measured.measurement, blocks=(bad, *others)))
    assert len(run_of(0, 0, disturbed, "latency_ms").values) == len(others)


def test_a_failure_is_kept_as_its_kind() -> None:
    broken = failed(Candidate(), "build", "timeout", "too long")
    run = run_of(0, 0, broken, "latency_ms")
    assert run.failure == "timeout"
    assert isinstance(evaluation_of(recording(row(0, 1.0)), run).failure, Failure)


def test_no_folder_of_this_machine_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [f"{tmp_path}/rounds.py", f"{tmp_path}/model.onnx", "--rounds", "8"])
    made = recording_of(subject(tmp_path), CANDIDATES[:1], row(0, 1.0))
    save(tmp_path / "made.json.gz", made)
    assert made.command == "python -m benchmarks.rounds model.onnx --rounds 8"
    assert made.spec.workload.model.file.name == "resnet-tiny.onnx"
    assert str(tmp_path) not in repr(load(tmp_path / "made.json.gz"))
