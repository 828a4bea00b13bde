"""Made-up evaluations, and trials of them in a storage."""

from datetime import UTC, datetime

import numpy as np

from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import Candidate, Settings
from studies.storage.storage import Storage

START = datetime(2025, 11, 21, 7, 0, 0, 123456, tzinfo=UTC)


def candidate(level: int) -> Candidate:
    return Candidate(Settings(precision="fp32"), Settings(level=level), Settings(threads=2))


def measured(level: int, latency_ms: float = 1.0, error: float = 0.001, samples: int = 50) -> Evaluation:
    latency = latency_ms * np.random.default_rng(level).lognormal(0, 0.01, samples)
    return Evaluation(
        candidate(level),
        Artifact("g" * 32, 10, 0.1, False),
        Artifact(f"engine {level}", 20, 0.1, False),
        Accuracy((OutputError("y", error, error),), 8),
        Measurement((Block(latency, 0.05, 0.0),), 8, 1, 0.1, 10, True),
    )


def failed(level: int) -> Evaluation:
    return Evaluation(candidate(level), failure=Failure("build", "crashed", "signal 11", "See the log."))


def add(
    storage: Storage,
    study: str,
    number: int,
    evaluation: Evaluation,
    *,
    key: str | None = None,
    started_at: datetime = START,
    reused: bool = False,
    log: str = "",
    device: str = "",
) -> None:
    storage.add_trial(
        study,
        number,
        key or f"key {number}",
        evaluation,
        started_at=started_at,
        seconds=1.5,
        reused=reused,
        log=log,
        device=device,
    )
