"""Bundles: what is in the table can be exported, and is loaded as what it was exported as."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import tuner
from engines.core.errors import UserError
from studies.core.records import StudyRecord, StudySpec, TrialRecord
from tuner.api import Result
from tuner.bundles.base import EngineFile, Evidence, read_evidence
from tuner.bundles.engine_files import find_engine
from tuner.bundles.registry import BUNDLES, export, load


class TextBundle:
    """Only the baseline can be written as text."""

    name = "text"

    def suits(self, trial: TrialRecord, spec: StudySpec) -> str | None:
        return None if trial.number == 0 else f"only the baseline of {spec.backend} can be written as text"

    def write(self, study: StudyRecord, trial: TrialRecord, engine: Path, folder: Path) -> None:
        (folder / "model.txt").write_text(f"{study.name}: {len(list(engine.iterdir()))} files")

    def load(self, folder: Path, evidence: Evidence) -> EngineFile:
        about, backend = (folder / "model.txt").read_text(), evidence.backend
        return EngineFile(folder, (backend.name,), backend.options, evidence.trial.settings, about)


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> str:
    """A bundle that nobody else has, added by one entry."""
    monkeypatch.setitem(BUNDLES, "text", TextBundle())
    return "text"


@pytest.fixture
def result(searched: Path) -> Result:
    return tuner.load_study(workspace=searched)


def test_bundle_of_the_table_is_written_with_its_evidence(result: Result, tmp_path: Path, text: str) -> None:
    export(result.study, result.trial(0), tmp_path / "out", result.workspace, text)
    assert (tmp_path / "out" / "model.txt").read_text().startswith(f"{result.study.name}: ")
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert (evidence["bundle"], list(evidence["files"])) == ("text", ["model.txt"])


def test_folder_is_loaded_by_the_bundle_that_wrote_it(result: Result, tmp_path: Path, text: str) -> None:
    export(result.study, result.trial(0), tmp_path / "out", result.workspace, text)
    assert find_engine(tmp_path / "out", "auto").about.endswith(" files")
    export(result.study, result.trial(0), tmp_path / "out", result.workspace)
    assert not (tmp_path / "out" / "model.txt").exists()
    assert find_engine(tmp_path / "out", "auto").about == f"trial 0 of {result.study.name}"


def test_trial_that_does_not_suit_is_refused_before_anything_is_written(
    result: Result, tmp_path: Path, text: str
) -> None:
    assert result.recommended is not None
    other = replace(result.recommended, number=5)
    with pytest.raises(UserError, match="trial 5 has no engine to hand over: only the baseline of fake"):
        export(result.study, other, tmp_path / "out", result.workspace, text)
    assert not (tmp_path / "out").exists()


def test_folder_of_an_unknown_bundle_is_a_user_error(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    export(result.study, result.trial(0), tmp_path / "out", result.workspace, text)
    monkeypatch.delitem(BUNDLES, text)
    evidence = read_evidence(tmp_path / "out")
    assert evidence is not None
    with pytest.raises(UserError, match=r"is a bundle of the kind 'text'") as raised:
        load(tmp_path / "out", evidence)
    assert raised.value.hint.startswith("Known: engine.")


def test_evidence_of_older_versions_is_that_of_an_engine(result: Result, tmp_path: Path) -> None:
    export(result.study, result.trial(0), tmp_path / "out", result.workspace)
    file = tmp_path / "out" / "evidence.json"
    document = json.loads(file.read_text())
    del document["bundle"]
    file.write_text(json.dumps(document))
    assert find_engine(tmp_path / "out", "auto").about == f"trial 0 of {result.study.name}"


def test_export_that_lost_a_file_is_a_user_error(result: Result, tmp_path: Path) -> None:
    export(result.study, result.trial(0), tmp_path / "out", result.workspace)
    (tmp_path / "out" / "engine.json").unlink()
    with pytest.raises(UserError, match=r"has lost its engine\.json"):
        find_engine(tmp_path / "out", "auto")
