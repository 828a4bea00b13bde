"""Studies with repeats made up: runs of known latencies, without anything being run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from engines.core.results import Evaluation
from engines.core.values import Candidate
from studies.core.records import RepeatRecord, RepeatRole, StudyRecord
from tests.records import START, candidate, measured, study_of

CANDIDATES = (
    candidate("fp32", "all", 2, True),
    candidate("fp32", "all", 1, True),
    candidate("fp16", "all", 2, True),
    candidate("fp16", "all", 1, True),
    candidate("fp32", "extended", 2, True),
)


def evaluation(which: Candidate, latency_ms: float, error: float = 0.0, noise: float = 0.001) -> Evaluation:
    return measured(which, np.random.default_rng(0), latency_ms=latency_ms, error=error, noise=noise)


def study_at(
    *latencies: float, constraints: Sequence[str] = (), objectives: Sequence[str] = ()
) -> StudyRecord:
    """A trial for each latency, the first the baseline's."""
    made = (evaluation(which, latency) for which, latency in zip(CANDIDATES, latencies, strict=False))
    return study_of(*made, constraints=constraints, objectives=objectives)


def repeat(
    role: RepeatRole,
    made: Evaluation,
    trial: int = 0,
    *,
    after: int = 1,
    session: int = 0,
    build: int = 0,
    seconds: float = 0.0,
) -> RepeatRecord:
    return RepeatRecord(trial, role, after, session, build, made, START + timedelta(seconds=seconds))


def with_self_test(study: StudyRecord, levels: Sequence[float]) -> StudyRecord:
    """Runs at these levels of the baseline's latency."""
    runs = [
        repeat("self-test", evaluation(CANDIDATES[0], level * _baseline(study)), seconds=2.0 * number + 2)
        for number, level in enumerate(levels)
    ]
    return replace(study, repeats=(*study.repeats, *runs))


def with_anchors(study: StudyRecord, levels: Mapping[float, float]) -> StudyRecord:
    """Anchors at seconds since the beginning, at levels of the baseline's latency."""
    runs = [
        repeat("anchor", evaluation(CANDIDATES[0], level * _baseline(study)), seconds=at, after=2)
        for at, level in levels.items()
    ]
    return replace(study, repeats=(*study.repeats, *runs))


def _baseline(study: StudyRecord) -> float:
    return study.trials[0].metrics["latency_ms"].value


def with_finals(
    study: StudyRecord,
    sessions: Mapping[int, Sequence[float]] | Mapping[int | tuple[int, int], Sequence[float]],
    **changes: float,
) -> StudyRecord:
    """Finals over all trials: the latency of each finalist (a trial, or trial and build) in each session."""
    runs = []
    for who, latencies in sessions.items():
        trial, build = who if isinstance(who, tuple) else (who, 0)
        for session, latency in enumerate(latencies):
            made = evaluation(study.trials[trial].candidate, latency, **changes)
            runs.append(
                repeat(
                    "final", made, trial, after=len(study.trials), session=session, build=build, seconds=100.0
                )
            )
    return replace(study, repeats=(*study.repeats, *runs))
