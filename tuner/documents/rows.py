"""Trials as flat rows: CSV, and the data frame of the Python API."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studies.core.metrics import METRICS
from studies.core.records import StudyRecord, TrialRecord
from tuner.documents.base import finite

FIRST_COLUMNS = ("number", "state")
LAST_COLUMNS = ("behind", "violated", "failed_at", "failure", "seconds", "reused", "same_engine_as")


def trial_rows(study: StudyRecord, trials: Iterable[TrialRecord] | None = None) -> list[dict[str, Any]]:
    """Return a flat row for each of the trials, all by default; missing values are None.

    Settings and metrics stand under their names, intervals under NAME_low and NAME_high.
    """
    names = columns(study)
    rows = [_row(trial) for trial in (study.trials if trials is None else trials)]
    return [{name: row.get(name) for name in names} for row in rows]


def columns(study: StudyRecord) -> list[str]:
    """Return the columns of the study's rows in order; a metric has one if any trial has the metric."""
    present = {name for trial in study.trials for name in _row(trial)}
    known = [*METRICS, *(metric.name for metric in study.spec.workload.metrics)]
    metrics = [column for name in known for column in (name, f"{name}_low", f"{name}_high")]
    dimensions = [dimension.name for dimension in study.spec.space]
    return [*FIRST_COLUMNS, *dimensions, *(name for name in metrics if name in present), *LAST_COLUMNS]


def to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the rows as CSV with a header; booleans are true and false, None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _row(trial: TrialRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"number": trial.number, "state": trial.state, **trial.candidate.settings}
    for name, estimate in trial.metrics.items():
        row[name] = finite(estimate.value)
        if estimate.low is not None:
            row |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    failure = trial.failure
    return row | {
        "behind": trial.measurement is not None and trial.measurement.pruned,
        "violated": " ".join(trial.violations),
        "failed_at": failure.stage if failure else "",
        "failure": failure.message if failure else "",
        "seconds": trial.seconds,
        "reused": trial.reused,
        "same_engine_as": trial.same_as,
    }


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
