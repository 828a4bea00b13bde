"""Recordings made up: candidates of known latencies in rounds, without anything being run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.recording import Recording, Run
from benchmarks.subjects import Subject
from engines.artifacts.workspace import Workspace
from engines.core.values import Policy, Settings
from engines.worker.protocol import Open
from tests.records import study_spec
from tests.studies.repeated import CANDIDATES

BLOCKS = 6
ROUNDS = 8


def recording(*rows: Sequence[Run]) -> Recording:
    """A row of runs for each candidate, one a round; the baseline's first."""
    runs = [run for of_round in zip(*rows, strict=True) for run in of_round]
    spec = study_spec()
    return Recording("a test", "2025-11-21", {}, spec, Policy(), CANDIDATES[: len(rows)], tuple(runs))


def row(
    candidate: int,
    latency_ms: float,
    *,
    level: Mapping[int, float] = {},
    noise: float = 0.0005,
    error: float = 0.0,
) -> list[Run]:
    """A candidate in eight rounds; `level` makes some of them faster or slower by a factor."""
    random = np.random.default_rng(candidate)
    return [
        Run(
            number,
            candidate,
            tuple((latency_ms * level.get(number, 1.0) * random.normal(1.0, noise, BLOCKS)).tolist()),
            (0.1,) * BLOCKS,
            error,
        )
        for number in range(ROUNDS)
    ]


def subject(folder: Path) -> Subject:
    """What was never opened."""
    spec = study_spec()
    opening = Open("fake", Settings(), str(folder), spec.workload, Policy(), concurrent=False)
    return Subject(spec, opening, Workspace(folder))
