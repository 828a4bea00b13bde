"""Trials as rows of CSV and of data frames."""

import csv
import io
import re
from dataclasses import replace

import pytest

from engines.core.values import TaskMetric
from engines.statistics.estimates import Estimate
from studies.core.records import StudyRecord
from tests.paths import DOCS
from tests.records import study_record
from tests.repeats import thorough_study
from tests.workloads import file_at
from tuner.documents.rows import columns, to_csv, trial_rows


@pytest.fixture(scope="module")
def study() -> StudyRecord:
    """A study with trials of every kind."""
    return study_record(40, seed=1, failing=0.3)


def test_docs_name_the_columns_of_the_csv(study: StudyRecord) -> None:
    text = (DOCS / "json.md").read_text(encoding="utf-8").partition("## CSV")[2]
    dimensions = {dimension.name for dimension in study.spec.space}
    metrics = {name for trial in study.trials for name in trial.metrics}
    for column in columns(study):
        name = re.sub(r"_(low|high)$", "", column)
        assert column in dimensions or name in metrics or f"`{column}`" in text


def test_rows_have_all_columns_of_the_study_in_one_order(study: StudyRecord) -> None:
    rows = trial_rows(study)
    names = columns(study)
    assert names[:2] == ["number", "state"]
    last = ["behind", "violated", "failed_at", "failure", "seconds", "reused", "same_engine_as"]
    assert names[-7:] == last
    assert all(list(row) == names for row in rows)
    assert not any(row["behind"] for row in rows)
    assert any(row["behind"] for row in trial_rows(thorough_study()))
    failed = next(row for row in rows if row["state"] == "failed")
    assert failed["latency_ms"] is None


def test_a_metric_of_the_users_has_a_column_too(study: StudyRecord) -> None:
    own = TaskMetric("f1", "task:f1", "maximize", file_at("/here", "ab"))
    workload = replace(study.spec.workload, metrics=(own,))
    trials = [replace(one, metrics={**one.metrics, "f1": Estimate(0.5)}) for one in study.trials]
    scored = replace(study, spec=replace(study.spec, workload=workload), trials=tuple(trials))
    assert "f1" in columns(scored)
    assert trial_rows(scored)[0]["f1"] == 0.5


def test_csv_of_a_study_without_trials_has_its_columns(study: StudyRecord) -> None:
    empty = replace(study, trials=())
    text = to_csv(trial_rows(empty), columns(empty))
    assert text == ",".join(columns(empty)) + "\n"
    assert text.startswith("number,state,precision,")


def test_csv_quotes_what_would_break_a_row(study: StudyRecord) -> None:
    failed = next(trial for trial in study.trials if trial.failure is not None)
    assert failed.failure is not None
    message = 'a "quoted", message\nof two lines; and a semicolon'
    failure = replace(failed.failure, message=message)
    odd = replace(failed, evaluation=replace(failed.evaluation, failure=failure))
    study = replace(study, trials=(odd,))
    read = list(csv.DictReader(io.StringIO(to_csv(trial_rows(study), columns(study)))))
    assert read[0]["failure"] == message
