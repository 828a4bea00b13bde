"""What a search does from the command to its files, on the fake backend."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

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
    faulty = ("--backend", "fake:fault_rate=0.6", "--trial-timeout", "2s")
    document = command("search", model, *faulty, "--trials", 6, "--json").document
    rows = list(csv.DictReader(io.StringIO(command("show", "--csv").out)))
    assert [int(row["number"]) for row in rows] == [trial["number"] for trial in document["trials"]]
    assert [row["state"] for row in rows] == [trial["state"] for trial in document["trials"]]


def test_verbose_prints_what_the_library_logged(command: Command, model: Path) -> None:
    crash = ("--backend", "fake:fault_rate=1,faults=crash")
    ended = command("search", model, *crash, "--trials", 2, "--fix", "cuda_graph=false", "-v")
    assert "Segmentation fault" in ended.err
    assert "\x1b" not in ended.err
