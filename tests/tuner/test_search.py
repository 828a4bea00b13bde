"""What a search does from the command to its files, on the fake backend."""

import csv
import io
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples import models
from tests.command import Command

FAKE = ("--backend", "fake")


def _settings(document: Any) -> list[dict[str, Any]]:
    return [trial["settings"] for trial in document["trials"]]


def test_the_end_says_what_was_found_where_it_is_and_what_to_type_next(
    command: Command, model: Path, tmp_path: Path
) -> None:
    ended = command("search", model, *FAKE, "--trials", 8)
    assert ended.code == 0
    lines = ended.out.splitlines()
    best = command("show", "--json").document["best"]
    assert lines[0].split() == ["baseline", "(trial", "0)", "best", "(trial", f"{best})"]
    assert "latency_ms" in lines[1]
    assert "±" in lines[1]
    assert any("faster than the baseline (95 % interval" in line for line in lines)
    assert f"Engine  .tuner/reports/tiny/engine (trial {best})" in lines
    assert "Report  .tuner/reports/tiny/report.html" in lines
    assert lines[-1].startswith(
        "Next    tuner show tiny  |  tuner dashboard tiny --open  |  tuner export tiny "
    )
    assert (tmp_path / ".tuner/reports/tiny/report.html").stat().st_size > 100_000
    assert (tmp_path / ".tuner/reports/tiny/engine/engine.json").is_file()


def test_results_go_to_standard_output_and_progress_to_standard_error(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 2)
    assert [line.partition(":")[0] for line in ended.err.splitlines()] == [
        "note",
        "study tiny",
        "trial 0",
        "note",
        "trial 1",
    ]
    assert "note: self-test: measured once each, engines that differ by " in ended.err
    assert "note:" not in ended.out
    assert "trial 1:" not in ended.out.replace("  trial 1: misses", "")


def test_quiet_prints_the_result_alone(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 2, "--quiet")
    assert ended.err == ""
    assert "Report  " in ended.out


def test_trial_0_is_the_baseline_whatever_is_fixed(command: Command, model: Path) -> None:
    document = command(
        "search",
        model,
        *FAKE,
        "--trials",
        5,
        "--precision",
        "fp16",
        "--fix",
        "profile=narrow,static",
        "--json",
    ).document
    first, *others = _settings(document)
    assert (first["precision"], first["profile"]) == ("fp32", "wide")
    assert {settings["precision"] for settings in others} == {"fp16"}
    assert {settings["profile"] for settings in others} <= {"narrow", "static"}


def test_a_space_that_is_fixed_whole_has_the_baseline_and_one_candidate_more(
    command: Command, model: Path
) -> None:
    fixed = (
        "precision=int8",
        "profile=wide",
        "builder_optimization_level=3",
        "max_aux_streams=0",
        "cuda_graph=false",
    )
    options = [part for text in fixed for part in ("--fix", text)]
    ended = command("search", model, *FAKE, "--trials", 50, *options, "--json").document
    assert ended["ending"] == "exhausted"
    assert [settings["precision"] for settings in _settings(ended)] == ["fp32", "int8"]


def test_no_candidate_is_tried_twice(command: Command, model: Path) -> None:
    options = [
        "--fix",
        "builder_optimization_level=3,4",
        "--fix",
        "max_aux_streams=0",
        "--precision",
        "fp32,fp16",
    ]
    document = command("search", model, *FAKE, "--trials", 50, "--min-gain", 0, *options, "--json").document
    tried = [json.dumps(settings) for settings in _settings(document)]
    assert document["ending"] == "exhausted"
    assert len(tried) == len(set(tried)) == 2 * 2 * 3 * 2


def test_run_only_changes_reuse_the_engine(command: Command, model: Path, tmp_path: Path) -> None:
    fixed = ("profile=wide", "builder_optimization_level=3", "max_aux_streams=0", "precision=fp32")
    options = [part for text in fixed for part in ("--fix", text)]
    document = command("search", model, *FAKE, "--trials", 2, *options, "--json").document
    first, second = document["trials"]
    assert first["settings"]["cuda_graph"] != second["settings"]["cuda_graph"]
    assert first["engine"] == second["engine"]
    assert len(list((tmp_path / ".tuner" / "engines").iterdir())) == 1


def test_latency_is_searched_one_at_a_time_and_throughput_with_batch_and_streams(
    command: Command, model: Path
) -> None:
    def choices(*options: str) -> dict[str, list[Any]]:
        space = command("search", model, *FAKE, "--dry-run", "--json", *options).document["space"]
        return {dimension["name"]: dimension["choices"] for dimension in space}

    assert (choices()["batch"], choices()["streams"]) == ([1], [1])
    many = choices("--objective", "throughput")
    assert len(many["batch"]) > 3
    assert len(many["streams"]) > 2


def test_several_objectives_make_a_pareto_study(command: Command, model: Path) -> None:
    options = ["--objective", "latency_ms", "--objective", "error", "--constraint", "error<=1"]
    document = command("search", model, *FAKE, "--trials", 20, *options, "--json").document
    values = {
        trial["number"]: [trial["metrics"][name]["value"] for name in ("latency_ms", "error")]
        for trial in document["trials"]
    }
    front = document["pareto_front"]
    assert len(front) > 1
    assert document["best"] in front
    for number in front:
        others = np.array([values[other] for other in values if other != number])
        worse = (others <= values[number]).all(axis=1) & (others < values[number]).any(axis=1)
        assert not worse.any()


def test_the_database_is_also_an_optuna_study(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 4)
    with closing(sqlite3.connect(".tuner/studies.db")) as database:
        assert database.execute("SELECT study_name FROM studies").fetchall() == [("tiny",)]
        assert database.execute("SELECT count(*) FROM trials").fetchall() == [(4,)]


# what it ends with


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


# inputs and shapes


def test_dimensions_that_nobody_gave_are_1_and_the_command_says_so(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 1)
    assert "note: input 'x': dimension 'batch' is dynamic and was not given: 1 is used" in ended.err
    given = command("search", model, *FAKE, "--trials", 1, "--shapes", "x:2x3x12x12")
    assert "note:" not in given.err


@pytest.mark.parametrize(
    "options",
    [
        ["--shapes", "x:4x3x12x12"],
        ["--shapes", "x:[4,3,12,12]"],
        ["--shapes", "4x3x12x12"],
        ["--optShapes", "x:4x3x12x12"],
        ["--opt-shapes", "x:4x3x12x12", "--min-shapes", "x:1x3x12x12", "--maxShapes", "x:8x3x12x12"],
    ],
    ids=" ".join,
)
def test_shapes_in_every_spelling(command: Command, model: Path, options: Sequence[str]) -> None:
    document = command("search", model, *FAKE, "--trials", 1, "--json", *options).document
    assert document["shapes"]["x"]["optimum"] == [4, 3, 12, 12]


def test_inputs_of_several_samples_for_a_dynamic_batch(command: Command, model: Path) -> None:
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(10, 3, 12, 12)).astype(np.float32))
    options = ["--inputs", "data.npz", "--shapes", "x:4x3x12x12", "--trials", 2, "--json"]
    document = command("search", model, *FAKE, *options).document
    assert document["inputs"]["path"] == "data.npz"
    assert document["trials"][0]["accuracy"]["samples"] == 12, "three batches of four, the last filled up"


def test_inputs_of_several_types(command: Command, tmp_path: Path) -> None:
    model = models.save("mixed_types", tmp_path)
    np.savez(
        "data.npz",
        features=np.zeros((3, 16), np.float32),
        categories=np.zeros((3, 4), np.int32),
        gate=np.ones((3, 16), np.bool_),
    )
    assert command("search", model, *FAKE, "--trials", 1, "--inputs", "data.npz").code == 0


# for programs


def test_json_is_one_document_with_the_same_exit_code(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 3, "--json")
    assert ended.code == 0
    assert ended.document["schema"] == 1
    assert ended.document["ending"] == "complete"
    assert ended.document["new_trials"] == 3
    assert Path(ended.document["report"]).is_file()
    assert ended.document["trials"] == command("show", "--json").document["trials"]


def test_csv_has_the_trials_of_the_json(command: Command, model: Path) -> None:
    document = command("search", model, "--backend", "fake:fault_rate=0.6", "--trials", 6, "--json").document
    rows = list(csv.DictReader(io.StringIO(command("show", "--csv").out)))
    assert [int(row["number"]) for row in rows] == [trial["number"] for trial in document["trials"]]
    assert [row["state"] for row in rows] == [trial["state"] for trial in document["trials"]]


def test_verbose_prints_what_the_library_logged(command: Command, model: Path) -> None:
    crash = ("--backend", "fake:fault_rate=1,faults=crash")
    ended = command("search", model, *crash, "--trials", 2, "--fix", "cuda_graph=false", "-v")
    assert "Segmentation fault" in ended.err
    assert "\x1b" not in ended.err
