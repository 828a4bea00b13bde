"""What JSON says of measuring: how it was done, what was measured again, and what that showed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dashboards.words import telemetry
from dashboards.words.evidence import stopped_early
from engines.core.results import Block, Measurement
from engines.core.wire import to_plain
from engines.statistics.estimates import Estimate, coefficient_of_variation, sample_count
from engines.statistics.jitter import jitter
from studies.belief.baseline_runs import drift, noise
from studies.belief.certificates import certificate
from studies.core.metrics import value_of
from studies.core.records import RepeatRecord, StudyRecord, TrialRecord
from studies.finals.rebuilds import rebuilt
from studies.finals.verdict import Finalist, Finals, finals, verdict_of


def repeats_document(study: StudyRecord) -> dict[str, Any]:
    """Noise, drift, finals and what racing saved; null is what was not measured."""
    held = finals(study)
    numbers, saved = stopped_early(study)
    return {
        "noise": _noise(study),
        "drift": _drift(study),
        "racing": {"stopped_early": list(numbers), "saved_seconds": saved},
        "finals": _finals(study, held) if held is not None else None,
        "repeats": [_repeat(one, study) for one in study.repeats],
    }


def certificate_document(study: StudyRecord, trial: TrialRecord) -> dict[str, Any] | None:
    """What is known of the deadline; None without one, or without a measurement."""
    found = certificate(study, trial)
    return dict(to_plain(found)) if found is not None else None


def measurement_document(measurement: Measurement) -> dict[str, Any]:
    """How the engine was measured, and what the machine said meanwhile, without raw samples."""
    blocks = measurement.blocks
    return {
        "samples": _count(blocks),
        "counted_samples": sample_count(measurement),
        "variation": finite(coefficient_of_variation(measurement)),
        "jitter": finite(jitter(blocks)),
        "blocks": len(blocks),
        "batch": measurement.batch,
        "streams": measurement.streams,
        "warmup_seconds": round(measurement.warmup_seconds, 6),
        "warmup_runs": measurement.warmup_runs,
        "converged": measurement.converged,
        "behind": measurement.pruned,
        "cold_samples": _count(measurement.cold),
        "disturbed_blocks": sum(bool(block.disturbed) for block in blocks),
        "discarded_blocks": len(measurement.discarded),
        "disturbances": list(telemetry.disturbances((*blocks, *measurement.discarded))),
        "telemetry": {name: found._asdict() for name, found in telemetry.states(blocks).items()},
        "throttled": telemetry.throttled(blocks),
        "waited": telemetry.waited(blocks),
    }


def estimate_document(estimate: Estimate) -> dict[str, float | None]:
    return {name: finite(getattr(estimate, name)) for name in ("value", "low", "high")}


def finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _noise(study: StudyRecord) -> dict[str, Any] | None:
    found = noise(study)
    return {name: finite(value) for name, value in to_plain(found).items()} if found is not None else None


def _drift(study: StudyRecord) -> dict[str, Any] | None:
    found = drift(study)
    if found is None:
        return None
    change, seconds = estimate_document(found.change), round(3600 * found.hours, 6)
    return {"change": change, "seconds": seconds, "significant": found.significant}


def _repeat(repeat: RepeatRecord, study: StudyRecord) -> dict[str, Any]:
    value = value_of(repeat.evaluation, study.spec.objectives[0].metric)
    failure = repeat.evaluation.failure
    return {
        "trial": repeat.trial,
        "role": repeat.role,
        "after": repeat.after,
        "session": repeat.session,
        "build": repeat.build,
        "value": estimate_document(value) if value else None,
        "failure": failure.message if failure else None,
        "started_at": repeat.started_at.isoformat(),
    }


def _finals(study: StudyRecord, held: Finals) -> dict[str, Any]:
    return {
        "winner": held.winner.trial,
        "sessions": held.sessions,
        "after": held.after,
        "finalists": [_finalist(one) for one in held.finalists],
        "rebuilt": [
            {
                "trial": one.trial,
                "ratios": [estimate_document(ratio) for ratio in one.ratios],
                "between_builds": one.between_builds,
                "between_sessions": one.between_sessions,
                "luck": one.is_luck,
                "all_win": one.all_win,
            }
            for one in rebuilt(study)
        ],
    }


def _finalist(one: Finalist) -> dict[str, Any]:
    return {
        "trial": one.trial,
        "build": one.build,
        "value": estimate_document(one.value),
        "against_winner": _against(one.against_winner),
        "against_baseline": _against(one.against_baseline),
        "wrong": one.wrong,
    }


def _against(ratio: Estimate | None) -> Mapping[str, Any] | None:
    return {**estimate_document(ratio), "verdict": verdict_of(ratio)} if ratio else None


def _count(blocks: Sequence[Block]) -> int:
    return sum(len(block.latency_ms) for block in blocks)
