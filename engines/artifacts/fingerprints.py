"""Recognise engines that are the same although their bytes differ, so that only one is measured.

A backend gives each engine a `fingerprint`, a digest of its layers, types and tactics. It need not include
weights and scales, so the outputs of each engine are checked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engines.core.results import Accuracy, Artifact, Evaluation
from engines.core.values import Candidate
from engines.core.wire import digest

# facts of an engine: its fingerprint, and the digest of the engine that was measured in its place
FINGERPRINT, MEASURED_AS = "fingerprint", "measured_as"


@dataclass(frozen=True, eq=False)
class Reused:
    """A candidate whose engine was measured under its run spec before: all that was found out but that."""

    graph: Artifact
    engine: Artifact
    accuracy: Accuracy
    stage_seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return str(self.engine.facts[FINGERPRINT])


def digest_of_files(*files: Path) -> str:
    """A fingerprint for engines that are the same only where their bytes are; what is missing is left out."""
    return digest([_digest(file) for file in files if file.exists()])


def fingerprint(engine: Artifact | None) -> str | None:
    """What the engine is; None where its backend cannot tell."""
    found = engine.facts.get(FINGERPRINT) if engine is not None else None
    return str(found) if found else None


def measured_engine(evaluation: Evaluation) -> str | None:
    """The digest of the engine that was measured, another one where a measurement is shared."""
    engine = evaluation.engine
    return str(engine.facts.get(MEASURED_AS, engine.digest)) if engine is not None else None


def is_shared(evaluation: Evaluation) -> bool:
    """Whether another engine was measured in place of this one."""
    return evaluation.engine is not None and MEASURED_AS in evaluation.engine.facts


def completed(candidate: Candidate, found: Reused, earlier: Evaluation) -> Evaluation:
    """The candidate's evaluation with the measurement of the earlier one, whose engine is the same."""
    facts = {**found.engine.facts, MEASURED_AS: str(measured_engine(earlier))}
    return Evaluation(
        candidate,
        graph=found.graph,
        engine=replace(found.engine, facts=facts),
        accuracy=found.accuracy,
        measurement=earlier.measurement,
        stage_seconds=found.stage_seconds,
    )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
