"""A study as JSON and CSV for other programs; docs/json.md describes the fields, which stay as they are."""

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from engines.statistics import Estimate
from engines.wire import to_plain
from studies.analysis import comparison
from studies.records import StudyRecord, TrialRecord

if TYPE_CHECKING:
    from tuner.searching import Outcome

SCHEMA = 1


def study_document(study: StudyRecord) -> dict[str, Any]:
    """The whole study without raw samples."""
    found = comparison(study)
    return {
        **study_header(study),
        "verdict": found.verdict,
        "baseline": found.baseline.number if found.baseline else None,
        "best": found.best.number if found.best else None,
        "speedup": _estimate(found.speedup) if found.speedup else None,
        "trials": [trial_document(trial) for trial in study.trials],
    }


def outcome_document(outcome: "Outcome") -> dict[str, Any]:
    """What a search ended with, the whole study included."""
    return {
        **study_document(outcome.study),
        "ending": outcome.ending,
        "report": str(outcome.report),
        "exported": str(outcome.exported) if outcome.exported else None,
    }


def study_header(study: StudyRecord) -> dict[str, Any]:
    """What the study is about."""
    spec = study.spec
    return {
        "schema": SCHEMA,
        "study": study.name,
        "created_at": study.created_at.isoformat(),
        "versions": dict(study.versions),
        "model": to_plain(spec.workload.model),
        "shapes": to_plain(spec.workload.shapes),
        "inputs": to_plain(spec.workload.inputs),
        "backend": {"name": spec.backend, "options": to_plain(spec.backend_options)},
        "machine": to_plain(spec.machine),
        "objectives": [to_plain(objective) for objective in spec.objectives],
        "constraints": [str(constraint) for constraint in spec.constraints],
        "space": [
            {"name": dimension.name, "kind": dimension.kind, "choices": list(dimension.choices)}
            for dimension in spec.space
        ],
    }


def trial_document(trial: TrialRecord) -> dict[str, Any]:
    """One trial: its settings, what was derived from its samples, and why it failed where it did."""
    return {
        "number": trial.number,
        "state": trial.state,
        "settings": trial.candidate.settings,
        "metrics": {name: _estimate(estimate) for name, estimate in trial.metrics.items()},
        "violations": {text: _finite(value) for text, value in trial.violations.items()},
        "failure": to_plain(trial.failure) if trial.failure else None,
        "engine": trial.engine.digest if trial.engine else None,
        "started_at": trial.started_at.isoformat(),
        "seconds": round(trial.seconds, 6),
        "stage_seconds": {stage: round(value, 6) for stage, value in trial.evaluation.stage_seconds.items()},
        "reused": trial.reused,
    }


def trial_rows(study: StudyRecord) -> list[dict[str, Any]]:
    """A flat row a trial: settings and metrics by name, intervals as NAME_low and NAME_high."""
    return [_row(trial) for trial in study.trials]


def dump(document: dict[str, Any]) -> str:
    """The document as text, every number finite."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def to_csv(rows: list[dict[str, Any]]) -> str:
    """The rows under the names that any of them has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(trial: TrialRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"number": trial.number, "state": trial.state, **trial.candidate.settings}
    for name, estimate in trial.metrics.items():
        row[name] = estimate.value
        if estimate.low is not None:
            row |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    failure = trial.failure
    return row | {
        "violated": " ".join(trial.violations),
        "failed_at": failure.stage if failure else "",
        "failure": failure.message if failure else "",
        "seconds": trial.seconds,
        "reused": trial.reused,
    }


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _finite(getattr(estimate, name)) for name in ("value", "low", "high")}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
