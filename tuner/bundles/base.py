"""A bundle is an engine in a folder, in the form that some program takes, with the evidence of its origin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from engines.core import earlier
from engines.core.errors import UserError
from engines.core.values import ModelFacts, Settings, Shape, ShapeRange
from studies.core.records import StudyRecord, StudySpec, TrialRecord

EVIDENCE = "evidence.json"


@dataclass(frozen=True)
class EngineFile:
    """An engine on the disk, the backends that may run it in the order to try them, and its run settings.

    Of a bundle `model`, `preferred` shapes and what it is (`about`) are known.
    """

    path: Path
    backends: tuple[str, ...]
    options: Settings
    run: Settings
    about: str = ""
    model: ModelFacts | None = None
    preferred: Mapping[str, Shape] = field(default_factory=dict)


class BackendUsed(msgspec.Struct):
    name: str
    options: Settings


class TrialExported(msgspec.Struct):
    number: int
    settings: Settings


class Evidence(msgspec.Struct):
    """What is read of the evidence in a bundle's folder; older ones do not name their bundle."""

    study: str
    model: ModelFacts
    shapes: dict[str, ShapeRange]
    backend: BackendUsed
    trial: TrialExported
    files: dict[str, Any]
    bundle: str = "engine"


class Bundle(Protocol):
    """One form in which engines are handed over."""

    name: str

    def suits(self, trial: TrialRecord, spec: StudySpec) -> str | None:
        """Return why a feasible trial cannot be handed over in this form; None where it can."""
        ...

    def write(self, study: StudyRecord, trial: TrialRecord, engine: Path, folder: Path) -> None:
        """Fill an empty folder from that of the trial's engine; the evidence is written by others."""
        ...

    def load(self, folder: Path, evidence: Evidence) -> EngineFile:
        """Return what lies in a folder that was so written; raises UserError where it is damaged."""
        ...


def read_evidence(folder: Path) -> Evidence | None:
    """Return the evidence in the folder, None where there is none; raises UserError if it cannot be read."""
    file = folder / EVIDENCE
    if not file.is_file():
        return None
    try:
        return earlier.from_json(file.read_bytes(), Evidence)
    except msgspec.DecodeError as error:
        raise UserError(
            f"{str(file)!r} is not evidence of an export: {error}", "Export the engine again."
        ) from error
