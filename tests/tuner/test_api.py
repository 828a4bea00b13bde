"""The Python API: what the command does, as functions that return objects."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuner
from engines.artifacts.workspace import Workspace
from engines.worker.client import Worker
from tests.records import study_record
from tests.repeats import with_gap
from tests.workloads import QUICK


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_public_names_exist() -> None:
    for name in tuner.__all__:
        assert getattr(tuner, name) is not None
    assert issubclass(tuner.UserError, Exception)
    with pytest.raises(AttributeError, match="no attribute 'searchx'"):
        tuner.searchx  # noqa: B018


def test_a_search_returns_best_baseline_recommended_and_trials(model: Path) -> None:
    result = tuner.search(model, trials=6, backend="fake")
    assert result.ending == "complete"
    assert result.baseline is not None
    assert result.baseline.number == 0
    assert result.best is not None
    assert result.recommended is result.best
    assert result.comparison.verdict == "faster"
    assert result.best.metrics["latency_ms"].value < result.baseline.metrics["latency_ms"].value
    assert result.trial(3) is result.study.trials[3]


def test_a_result_says_what_was_left_to_gain_when_it_stopped(model: Path) -> None:
    result = tuner.search(model, trials=200, min_gain=0.5, backend="fake", self_test=0, finalists=0)
    assert result.ending == "converged"
    assert result.left is not None
    assert result.left.chance < 0.05
    assert tuner.load_study().left is None


def test_trials_are_a_data_frame_indexed_by_number(searched: Path) -> None:
    result = tuner.load_study("net", workspace=searched)
    trials = result.trials
    assert isinstance(trials, pd.DataFrame)
    assert trials.index.name == "number"
    assert list(trials.index) == list(range(len(result.study.trials)))
    assert set(trials["state"]) == {"feasible", "infeasible", "failed"}
    assert trials["latency_ms"].dtype == np.float64
    assert trials.loc[trials["state"] == "failed", "latency_ms"].isna().all()
    assert (trials["latency_ms_low"].dropna() <= trials["latency_ms"].dropna()).all()
    for dimension in result.study.spec.space:
        assert dimension.name in trials


def test_a_study_without_trials_is_an_empty_data_frame(tmp_path: Path) -> None:
    result = tuner.Result(study_record(0), Workspace(tmp_path))
    assert result.trials.empty
    assert {"state", "precision", "failure"} <= set(result.trials.columns)
    assert result.best is result.baseline is result.recommended is None
    with pytest.raises(tuner.UserError, match="has no trial 0"):
        result.trial(0)


def test_a_trial_is_found_by_its_number(tmp_path: Path) -> None:
    study = with_gap(study_record(4))
    result = tuner.Result(study, Workspace(tmp_path))
    assert result.trial(5) is study.trials[2]
    with pytest.raises(tuner.UserError, match="has no trial 3") as refused:
        result.trial(3)
    assert refused.value.hint == "It has trials 0 to 6."


def test_export_and_report_write_what_the_command_writes(searched: Path, tmp_path: Path) -> None:
    result = tuner.load_study(workspace=searched)
    assert result.export("out") == Path("out")
    evidence = json.loads((tmp_path / "out/evidence.json").read_text())
    assert result.recommended is not None
    assert evidence["trial"]["number"] == result.recommended.number
    assert result.report("deep/report.html") == Path("deep/report.html")
    assert (tmp_path / "deep/report.html").is_file()


def test_the_baseline_is_recommended_where_nothing_is_significantly_better(model: Path) -> None:
    fixed = ("precision=fp32", "profile=wide", "max_aux_streams=0", "cuda_graph=false")
    result = tuner.search(
        model,
        backend="fake:noise=0.5",
        fix=(*fixed, "builder_optimization_level=3,4,5"),
        trials=9,
        finalists=0,
    )
    assert result.comparison.verdict == "same"
    assert result.best is not result.baseline
    assert result.recommended is result.baseline
    evidence = json.loads((result.export("out") / "evidence.json").read_text())
    assert evidence["trial"]["number"] == 0


def test_one_value_may_stand_alone_and_times_may_be_text(model: Path) -> None:
    result = tuner.search(
        str(model),
        trials=2,
        backend="fake",
        objectives="p99_ms",
        constraints="error<=0.5",
        shapes="x:2x3x12x12",
        timeout="1h",
        trial_timeout=60,
        workspace="w",
        output=None,
    )
    assert result.study.spec.objectives[0].metric == "p99_ms"
    assert result.study.spec.workload.plan.batch == 2
    assert Path("w/studies.db").is_file()


def test_the_policy_of_measuring_may_be_given(model: Path) -> None:
    result = tuner.search(model, trials=1, backend="fake", policy=QUICK)
    assert result.baseline is not None
    assert result.baseline.measurement is not None
    assert result.baseline.measurement.warmup_seconds < 0.2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trails": 5}, "search() has no option 'trails'. Did you mean trials?"),
        ({"zzz": 5}, "search() has no option 'zzz'. Known: backend, "),
        ({"timeout": "soon"}, "wants timeout as a time, not 'soon'. Write 30m, 90s, 1h30m or 33ms."),
        ({"timeout": float("nan")}, "--timeout must be more than zero"),
        ({"timeout": float("inf")}, "--timeout must be more than zero and finite"),
        ({"min_gain": "much"}, "wants min_gain as a share, not 'much'. Write 1%, 0.5% or 0.01; 0 turns"),
        ({"min_gain": "100%"}, "--min-gain must be from 0 to less than 100 %, not 100 %"),
        ({"min_gain": float("nan")}, "--min-gain must be from 0 to less than 100 %, not nan %"),
        ({"min_gain": [1]}, "search() wants min_gain as a share, not [1]"),
        (
            {"min_gain": 0.01, "exhaustive": True},
            "--exhaustive tries every candidate, so --min-gain has no effect",
        ),
        ({"trials": 20, "exhaustive": True}, "--exhaustive tries 432 candidates, and --trials allows 20"),
        ({"self_test": 2.5}, "search() wants self_test as a whole number, not 2.5"),
        ({"trials": 1.5}, "search() wants trials as a whole number, not 1.5"),
        ({"mode": "again"}, "the mode cannot be 'again'"),
        ({"trials": 0}, "--trials must be at least 1"),
        ({"objectives": ["speed"]}, "unknown metric 'speed'"),
        ({"workspace": "a\0b"}, "has a zero byte in it"),
    ],
)
def test_a_mistake_is_a_user_error(model: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(tuner.UserError) as mistake:
        tuner.search(model, **{"backend": "fake", **options})
    assert said in str(mistake.value)


def test_load_study_reads_the_newest_or_the_named_one(model: Path) -> None:
    with pytest.raises(tuner.UserError, match="there are no studies in"):
        tuner.load_study()
    for name in ("a", "b"):
        tuner.search(model, trials=1, backend="fake", study=name)
    assert tuner.load_study().study.name == "b"
    assert tuner.load_study("a").study.name == "a"
    assert tuner.load_study().ending is None
    with pytest.raises(tuner.UserError, match="there is no study 'c'"):
        tuner.load_study("c")


def test_progress_goes_to_standard_error_when_asked_for(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner.search(model, trials=1, backend="fake")
    assert capsys.readouterr() == ("", "")
    tuner.search(model, trials=2, backend="fake", progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "trial 1: " in printed.err


def test_ctrl_c_returns_what_was_found_so_far(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate, asked = Worker.evaluate_unless_measured, []

    def interrupted_in_the_third(*arguments: object) -> object:
        asked.append(arguments)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return evaluate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Worker, "evaluate_unless_measured", interrupted_in_the_third)
    result = tuner.search(model, trials=10, backend="fake", self_test=0)
    assert result.ending == "interrupted"
    assert len(result.study.trials) == 2
