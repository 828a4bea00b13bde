"""A study as JSON and CSV for other programs; docs/json.md describes the fields, which stay as they are."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engines.core.wire import to_plain
from studies.analysis.comparison import baseline, comparison, pareto_front, recommended
from studies.core.metrics import METRICS
from studies.core.records import StudyRecord, TrialRecord
from tuner.documents.measurement import (
    certificate_document,
    estimate_document,
    finite,
    measurement_document,
    repeats_document,
)

if TYPE_CHECKING:
    from studies.storage.storage import StudySummary

SCHEMA = 1
FIRST_COLUMNS = ("number", "state")
LAST_COLUMNS = ("behind", "violated", "failed_at", "failure", "seconds", "reused", "same_engine_as")


def study_document(study: StudyRecord) -> dict[str, Any]:
    """The whole study without raw samples."""
    found = comparison(study)
    return {
        **study_header(study),
        "verdict": found.verdict,
        "baseline": _number(found.baseline),
        "best": _number(found.best),
        "recommended": _number(recommended(study)),
        "speedup": estimate_document(found.speedup) if found.speedup else None,
        "pareto_front": [trial.number for trial in pareto_front(study)],
        **repeats_document(study),
        "trials": [trial_document(study, trial) for trial in study.trials],
    }


def one_trial_document(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """One trial by itself, its log included."""
    return {"schema": SCHEMA, "study": study.name, **trial_document(study, trial), "log": trial.log}


def export_document(study: StudyRecord, trial: TrialRecord, files: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence beside an exported engine; `files` says by name what each of its files is."""
    first = baseline(study)
    return {
        **study_header(study),
        "trial": trial_document(study, trial),
        "baseline": trial_document(study, first) if first is not None else None,
        "files": dict(files),
    }


def studies_document(summaries: "Sequence[StudySummary]") -> dict[str, Any]:
    """All studies in brief."""
    return {"schema": SCHEMA, "studies": [to_plain(summary) for summary in summaries]}


def study_header(study: StudyRecord) -> dict[str, Any]:
    """What the study is about."""
    spec = study.spec
    return {
        "schema": SCHEMA,
        "study": study.name,
        "created_at": study.created_at.isoformat(),
        "versions": dict(study.versions),
        "priors": [to_plain(prior) for prior in study.priors],
        "model": to_plain(spec.workload.model),
        "shapes": to_plain(spec.workload.plan.ranges),
        "inputs": to_plain(spec.workload.inputs),
        "calibration": to_plain(spec.workload.calibration),
        "reference": to_plain(spec.workload.expected),
        "own_metrics": to_plain(spec.workload.metrics),
        "keep_fp32": list(spec.workload.keep_fp32),
        "override_shapes": to_plain(spec.workload.override_shapes),
        "backend": {"name": spec.backend, "options": to_plain(spec.backend_options)},
        "machine": to_plain(spec.machine),
        "objectives": [to_plain(objective) for objective in spec.objectives],
        "constraints": [str(constraint) for constraint in spec.constraints],
        "space": [
            {"name": dimension.name, "kind": dimension.kind, "choices": list(dimension.choices)}
            for dimension in spec.space
        ],
    }


def trial_document(study: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    """One trial: its settings, what was derived from its samples, and why it failed where it did."""
    return {
        "number": trial.number,
        "state": trial.state,
        "settings": trial.candidate.settings,
        "metrics": {name: estimate_document(estimate) for name, estimate in trial.metrics.items()},
        "violations": {text: finite(value) for text, value in trial.violations.items()},
        "failure": to_plain(trial.failure) if trial.failure else None,
        "accuracy": to_plain(trial.accuracy) if trial.accuracy else None,
        "measurement": measurement_document(trial.measurement) if trial.measurement else None,
        "certificate": certificate_document(study, trial),
        "kept_fp32": list(trial.kept_fp32),
        "engine": trial.engine.digest if trial.engine else None,
        "started_at": trial.started_at.isoformat(),
        "seconds": round(trial.seconds, 6),
        "stage_seconds": {stage: round(value, 6) for stage, value in trial.evaluation.stage_seconds.items()},
        "reused": trial.reused,
        "same_engine_as": trial.same_as,
    }


def trial_rows(study: StudyRecord, trials: Iterable[TrialRecord] | None = None) -> list[dict[str, Any]]:
    """A flat row for each of the trials, all by default; None is what a trial does not have.

    Settings and metrics stand under their names, intervals under NAME_low and NAME_high.
    """
    names = columns(study)
    rows = [_row(trial) for trial in (study.trials if trials is None else trials)]
    return [{name: row.get(name) for name in names} for row in rows]


def columns(study: StudyRecord) -> list[str]:
    """The columns of the study's rows, in their order: those of metrics only where any trial has them."""
    present = {name for trial in study.trials for name in _row(trial)}
    known = [*METRICS, *(metric.name for metric in study.spec.workload.metrics)]
    metrics = [column for name in known for column in (name, f"{name}_low", f"{name}_high")]
    dimensions = [dimension.name for dimension in study.spec.space]
    return [*FIRST_COLUMNS, *dimensions, *(name for name in metrics if name in present), *LAST_COLUMNS]


def dump(document: dict[str, Any]) -> str:
    """The document as text, every number finite."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """The rows below the names of their columns, truth as true and false, None as nothing."""
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


def _number(trial: TrialRecord | None) -> int | None:
    return None if trial is None else trial.number
