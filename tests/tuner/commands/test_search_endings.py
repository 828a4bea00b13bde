"""What a search ends with, and what it hands over."""

import json
from pathlib import Path

import pytest

from tests.command import Command

FAKE = ("--backend", "fake")


def test_nothing_feasible_has_an_exit_code_of_its_own_and_says_why(
    command: Command, model: Path, tmp_path: Path
) -> None:
    ended = command("search", model, *FAKE, "--trials", 3, "--constraint", "latency_ms<=0.001")
    assert ended.code == 3
    assert "No trial is feasible: 3 infeasible" in ended.out
    assert "misses latency_ms<=0.001 (at best " in ended.out
    assert "Engine" not in ended.out
    assert (tmp_path / ".tuner/reports/tiny/report.html").is_file()
    assert not (tmp_path / ".tuner/reports/tiny/engine").exists()
    document = command("search", model, *FAKE, "--trials", 3, "--constraint", "latency_ms<=0.001", "--json")
    assert document.code == 3
    assert document.document["recommended"] is None


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("crash", "failed at build: the worker died of SIGSEGV"),
        ("refuse", "failed at build: the imaginary builder found no implementation"),
        ("nan", "failed at check: output 'output' "),
        ("memory", "failed at load: out of memory after"),
        ("wrong", "misses error<=0.01 ("),
    ],
)
def test_a_failure_is_a_result_that_the_end_names(
    command: Command, model: Path, fault: str, reason: str
) -> None:
    backend = f"fake:fault_rate=1,faults={fault}"
    ended = command("search", model, "--backend", backend, "--trials", 3, "--precision", "fp16")
    assert ended.code == 0
    assert f"trials 1, 2: {reason}" in ended.out
    shown = command("show").out
    assert shown.count(reason.partition(":")[0]) >= 2


def test_a_hang_is_ended_by_the_trials_time_limit(command: Command, model: Path) -> None:
    hangs = "fake:fault_rate=1,faults=hang"
    options = ["--trials", 2, "--trial-timeout", "0.5s", "--fix", "cuda_graph=false"]
    ended = command("search", model, "--backend", hangs, *options)
    assert ended.code == 0
    assert "failed at build: still not done after 0.5 s" in ended.out


def test_without_a_significant_difference_the_baseline_is_handed_over(command: Command, model: Path) -> None:
    """Noise of 50 % hides what separates two levels of the builder."""
    noisy = ("--backend", "fake:noise=0.5")
    fixed = ["precision=fp32", "profile=wide", "max_aux_streams=0", "cuda_graph=false"]
    options = [part for text in fixed for part in ("--fix", text)]
    options += ["--fix", "builder_optimization_level=3,4,5"]
    document = command("search", model, *noisy, *options, "--json").document
    assert document["best"] != 0, "the fake's noise no longer makes a lucky winner"
    assert document["verdict"] == "same"
    assert document["recommended"] == 0
    exported = json.loads(Path(document["exported"], "evidence.json").read_text())
    assert exported["trial"]["number"] == 0
    shown = command("search", model, *noisy, *options)
    assert "No significant difference from the baseline: keep it." in shown.out
    assert "engine (the baseline)" in shown.out


def test_output_names_the_folder_of_report_and_engine(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, *FAKE, "--trials", 3, "--output", "deep/out")
    assert {path.name for path in (tmp_path / "deep/out").iterdir()} == {"report.html", "engine"}
    assert not (tmp_path / ".tuner/reports/tiny").exists()


def test_an_engine_that_is_known_from_storage_alone_is_built_for_the_export(
    command: Command, model: Path, tmp_path: Path
) -> None:
    """Two workspaces share a database, and only the first has built anything."""
    options = ["--trials", 3, "--storage", tmp_path / "shared.db"]
    command("search", model, *FAKE, *options, "--workspace", "one")
    ended = command("search", model, *FAKE, *options, "--workspace", "two", "--new")
    assert ended.code == 0
    assert (tmp_path / "two/reports/tiny-2/engine/engine.json").is_file()
