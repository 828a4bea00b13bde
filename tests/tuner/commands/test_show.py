"""`tuner show`: tables for people, JSON and CSV for programs."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import tuner
from studies.analysis.comparison import best
from tests.command import Command
from tests.records import awkward_study, study_record
from tests.repeats import THROTTLED, thorough_study
from tuner.output.showing import print_study, print_trial


@pytest.fixture
def document(command: Command, searched: Path) -> Any:
    return command("show", "net", "--workspace", searched, "--json").document


def test_every_trial_has_a_row_with_state_metrics_settings_and_why(
    command: Command, searched: Path, document: Any
) -> None:
    lines = command("show", "--workspace", searched).out.splitlines()
    assert lines[0].split()[:4] == ["trial", "state", "latency_ms", "error"]
    assert lines[0].endswith("why")
    for line, trial in zip(lines[1:], document["trials"], strict=False):
        number, state = line.split()[:2]
        assert (number, state.rstrip(",")) == (str(trial["number"]), trial["state"])
        assert ("stopped early" in line) == bool((trial["measurement"] or {}).get("behind"))
        assert trial["settings"]["precision"] in line
        if trial["failure"]:
            assert trial["failure"]["message"] in line
        if trial["violations"]:
            assert "misses error<=0.01 (is " in line


def test_jitter_is_shown(document: Any) -> None:
    told = [trial["measurement"]["jitter"] for trial in document["trials"] if trial["measurement"]]
    assert all(one is None or 1 < one < 1.1 for one in told)
    assert any(told)


def test_after_the_trials_stand_the_comparison_and_the_verdict(command: Command, searched: Path) -> None:
    out = command("show", "net", "--workspace", searched).out
    assert "baseline (trial 0)" in out
    assert "faster than the baseline" in out
    assert "Not feasible (" in out


def test_the_fixture_has_trials_of_every_state(document: Any) -> None:
    assert {trial["state"] for trial in document["trials"]} == {"feasible", "infeasible", "failed"}


def test_json_is_strict_and_numbers_are_finite(command: Command, searched: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(command("show", "--workspace", searched, "--json").out, parse_constant=refuse)


def test_json_names_baseline_best_and_recommended_by_their_numbers(document: Any) -> None:
    assert document["baseline"] == 0
    assert document["recommended"] == document["best"] != 0
    assert document["verdict"] == "faster"
    assert document["speedup"]["low"] > 1
    best = document["trials"][document["best"]]
    assert best["state"] == "feasible"


def test_csv_has_the_rows_of_the_json_under_the_same_names(
    command: Command, searched: Path, document: Any
) -> None:
    text = command("show", "--workspace", searched, "--csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(document["trials"])
    for row, trial in zip(rows, document["trials"], strict=True):
        assert (row["number"], row["state"]) == (str(trial["number"]), trial["state"])
        for name, value in trial["settings"].items():
            assert row[name] == (str(value).lower() if isinstance(value, bool) else str(value))
        for name, estimate in trial["metrics"].items():
            assert float(row[name]) == estimate["value"]
            if estimate["low"] is not None:
                assert float(row[f"{name}_low"]) == estimate["low"]
        assert row["failure"] == (trial["failure"]["message"] if trial["failure"] else "")
        assert row["violated"] == " ".join(trial["violations"])
        assert row["reused"] == str(trial["reused"]).lower()


def test_csv_is_read_by_pandas_with_the_types_of_the_api(command: Command, searched: Path) -> None:
    read = pd.read_csv(io.StringIO(command("show", "--workspace", searched, "--csv").out), index_col="number")
    trials = tuner.load_study(workspace=searched).trials
    assert list(read.columns) == list(trials.columns)
    assert read["latency_ms"].to_list() == pytest.approx(trials["latency_ms"].to_list(), nan_ok=True)
    assert read["cuda_graph"].dtype == bool
    assert read["streams"].to_list() == trials["streams"].to_list()


def test_one_trial_is_shown_in_full(command: Command, searched: Path, document: Any) -> None:
    best = document["best"]
    out = command("show", "--workspace", searched, "--trial", best).out
    lines = {line.split("  ")[0]: line for line in out.splitlines() if line}
    assert lines["trial"].endswith(f"{best} of net")
    assert lines["state"].endswith("feasible")
    for name in (*document["trials"][best]["settings"], *document["trials"][best]["metrics"]):
        assert name in lines
    assert document["trials"][best]["engine"] in lines["engine"]
    stages = [name.removesuffix(" took") for name in lines if name.endswith(" took")]
    assert stages == ["prepare", "graph", "build", "load", "check", "warm-up", "measure"]


def test_a_trial_is_shown_with_telemetry_finals_and_deadline(capsys: pytest.CaptureFixture[str]) -> None:
    study = thorough_study(constraints=["error<=0.01", "p99_bound_ms<=33"])
    winner = best(study)
    assert winner is not None
    print_trial(study, winner)
    shown = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["samples"] == "2,400"
    assert shown["measured in"] == "6 blocks, converged"
    assert shown["clock"] == "1,498 MHz (1,495 to 1,500)"
    assert shown["temperature"] == "60 °C"
    assert shown["clocks held by"] == "sw_power_cap in 100 % of the blocks"
    assert shown["waited for a core"] == "1.0 % of the time"
    assert shown["energy_mj"].endswith(" mJ")
    assert "the winner; against the baseline faster: " in shown["measured again"]
    assert "against the winner same: " in shown["rebuild 2"]
    assert shown["deadline"].startswith(
        "99 % of inferences meet 33 ms with 95 % confidence: 0 misses in 14,400"
    )


def test_a_trial_that_was_stopped_early_or_disturbed_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    study = thorough_study()
    print_trial(study, study.trials[9])
    assert "feasible, stopped early" in capsys.readouterr().out
    print_trial(study, study.trials[1])
    shown = capsys.readouterr().out
    assert "feasible, throttled" in shown
    assert f"6 blocks, converged; 1 disturbed ({THROTTLED})" in shown
    print_trial(study, study.trials[4])
    assert f"6 blocks, converged; 1 discarded ({THROTTLED})" in capsys.readouterr().out


def test_a_study_is_shown_with_its_finals(capsys: pytest.CaptureFixture[str]) -> None:
    print_study(thorough_study())
    shown = capsys.readouterr().out
    assert "feasible, stopped early" in shown
    assert "against the baseline" in shown
    assert "This machine can tell engines apart" in shown


def test_a_failed_trial_is_shown_with_stage_kind_and_message(
    command: Command, searched: Path, document: Any
) -> None:
    failed = next(trial for trial in document["trials"] if trial["state"] == "failed")
    out = command("show", "--workspace", searched, "--trial", failed["number"]).out
    failure = failed["failure"]
    kind = failure["kind"].replace("_", " ")
    assert f"failed at {failure['stage']}, {kind}: {failure['message']}" in out


def test_one_trial_as_json_is_the_studys_with_its_log(
    command: Command, searched: Path, document: Any
) -> None:
    one = command("show", "--workspace", searched, "--trial", 2, "--json").document
    extra = {"schema", "study", "log"}
    assert {name: value for name, value in one.items() if name not in extra} == document["trials"][2]
    assert (one["schema"], one["study"]) == (1, "net")


def test_one_trial_as_csv_is_one_row_of_the_studys(command: Command, searched: Path) -> None:
    whole = command("show", "--workspace", searched, "--csv").out.splitlines()
    one = command("show", "--workspace", searched, "--csv", "--trial", 2).out.splitlines()
    assert one == [whole[0], whole[3]]


def test_names_with_markup_stand_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    study = awkward_study()
    print_study(study)
    assert study.spec.space[-1].name in capsys.readouterr().out


def test_a_log_is_shown_without_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    study = study_record(3)
    trial = replace(study.trials[0], log="\x1b[0;93mwarning\x1b[m: \x07\x1b]0;title\x07slow\r\nlines\n\n")
    print_trial(study, trial)
    assert capsys.readouterr().out.endswith("\nlog:\nwarning: slow\nlines\n")


def test_a_study_without_trials_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_study(study_record(0))
    assert capsys.readouterr().out == "No trial has finished yet.\n"


def test_a_baseline_that_failed_leaves_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    study = study_record(6, failing=1.0)
    failed = replace(study.trials[1], number=0)
    print_study(replace(study, trials=(failed, *study.trials[1:])))
    assert "No trial is feasible" in capsys.readouterr().out


def test_what_the_engine_says_of_itself_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    study = study_record(1)
    trial = study.trials[0]
    assert trial.engine is not None
    engine = replace(trial.engine, facts={"build_seconds": 1.0, "layer_types": "fp16:68 fp32:1"})
    print_trial(study, replace(trial, evaluation=replace(trial.evaluation, engine=engine)))
    shown = capsys.readouterr().out
    assert "layer types" in shown
    assert "fp16:68 fp32:1" in shown
