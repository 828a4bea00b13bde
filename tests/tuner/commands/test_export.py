"""`tuner export`: the engine and its evidence in a folder, and nothing of the user's lost."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import tuner
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from tests.command import Command
from tests.records import study_record
from tuner.bundles.registry import export


def _evidence(folder: Path) -> Any:
    return json.loads((folder / "evidence.json").read_text())


def test_the_recommended_engine_is_handed_over_with_its_evidence(
    command: Command, searched: Path, tmp_path: Path
) -> None:
    document = command("show", "--workspace", searched, "--json").document
    ended = command("export", "net", "deep/out", "--workspace", searched)
    assert (ended.code, ended.out) == (0, "deep/out\n")
    assert ended.err == f"note: this is trial {document['recommended']} of net\n"
    folder = tmp_path / "deep/out"
    assert {path.name for path in folder.iterdir()} == {"engine.json", "evidence.json"}
    evidence = _evidence(folder)
    assert evidence["trial"] == document["trials"][document["recommended"]]
    assert evidence["baseline"] == document["trials"][0]
    for name in ("study", "model", "machine", "backend", "shapes", "inputs", "versions", "constraints"):
        assert evidence[name] == document[name]


def test_the_evidence_has_the_digest_of_each_file(command: Command, searched: Path, tmp_path: Path) -> None:
    command("export", "out", "--workspace", searched)
    engine = (tmp_path / "out" / "engine.json").read_bytes()
    assert _evidence(tmp_path / "out")["files"] == {
        "engine.json": {"bytes": len(engine), "sha256": hashlib.sha256(engine).hexdigest()}
    }


def test_a_trial_of_ones_own_choice(command: Command, searched: Path, tmp_path: Path) -> None:
    command("export", "--trial", 0, "out", "--workspace", searched)
    assert _evidence(tmp_path / "out")["trial"]["number"] == 0


@pytest.mark.parametrize(
    ("state", "said"),
    [("failed", "has no engine to hand over: it failed at "), ("infeasible", "it misses error<=0.01")],
)
def test_a_trial_without_a_right_engine_is_refused(
    command: Command, searched: Path, tmp_path: Path, state: str, said: str
) -> None:
    trials = command("show", "--workspace", searched, "--json").document["trials"]
    number = next(trial["number"] for trial in trials if trial["state"] == state)
    assert said in command("export", "--trial", number, "out", "--workspace", searched).complaint
    assert not (tmp_path / "out").exists()


def test_an_earlier_export_is_replaced_and_files_of_others_stay(
    command: Command, searched: Path, tmp_path: Path
) -> None:
    command("export", "--trial", 0, "out", "--workspace", searched)
    out = tmp_path / "out"
    evidence = _evidence(out)
    evidence["files"]["engine.bin.data"] = {"bytes": 1, "sha256": ""}
    (out / "evidence.json").write_text(json.dumps(evidence))
    (out / "engine.bin.data").write_text("of the earlier engine")
    (out / "notes.txt").write_text("mine")
    assert command("export", "out", "--workspace", searched).code == 0
    assert _evidence(out)["trial"]["number"] != 0
    assert {path.name for path in out.iterdir()} == {"engine.json", "evidence.json", "notes.txt"}


@pytest.mark.parametrize("content", [None, "{}", "[]", "not json", '{"files": 3}'])
def test_a_folder_of_other_files_is_left_alone(
    command: Command, searched: Path, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    if content is not None:
        (tmp_path / "out" / "evidence.json").write_text(content)
    before = sorted((tmp_path / "out").iterdir())
    said = command("export", "out", "--workspace", searched).complaint
    assert said == "'out' contains files that are not an export. Choose another folder."
    assert sorted((tmp_path / "out").iterdir()) == before


def test_an_evidence_file_cannot_name_files_elsewhere_to_be_deleted(
    command: Command, searched: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out" / "evidence.json").write_text('{"files": {"../precious": {}}}')
    assert command("export", "out", "--workspace", searched).code == 0
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_current_folder_may_be_exported_to(
    command: Command, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert command("export", ".", "--workspace", searched).code == 0
    assert (tmp_path / "empty" / "evidence.json").is_file()


def test_leftovers_of_a_killed_export_are_ignored(command: Command, searched: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / ".unfinished-1-x").mkdir(parents=True)
    assert command("export", "out", "--workspace", searched).code == 0


def test_a_folder_of_a_studys_name_may_be_exported_to(
    command: Command, searched: Path, tmp_path: Path
) -> None:
    (tmp_path / "net").mkdir()
    assert command("export", "net", "--workspace", searched).code == 0


def test_exported_files_may_be_read_by_others(command: Command, searched: Path, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        command("export", "out", "--workspace", searched)
    finally:
        os.umask(mask)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert modes == {0o644}
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_an_engine_that_was_deleted_is_named(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 2)
    shutil.rmtree(tmp_path / ".tuner" / "engines")
    said = command("export", "out").complaint
    assert "is no longer in '.tuner/engines'" in said
    assert "search again: that builds what is missing" in said
    assert command("search", model, "--backend", "fake", "--trials", 2).code == 0
    assert command("export", "out").code == 0


def test_a_study_without_anything_feasible(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 2, "--constraint", "latency_ms<=0.001")
    assert "has nothing feasible to export" in command("export", "out").complaint


def test_a_failure_half_way_leaves_the_earlier_export(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tuner.load_study(workspace=searched)
    result.export(tmp_path / "out", trial=0)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match="No space left on device"):
        result.export(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_trial_that_was_never_measured_has_nothing_to_hand_over(tmp_path: Path) -> None:
    study = study_record(3)
    with pytest.raises(UserError, match=r"no longer in"):
        export(study, study.trials[0], tmp_path / "out", Workspace(tmp_path))


def test_a_wrong_engine_is_never_exported(model: Path, tmp_path: Path) -> None:
    """Right in the check before it is timed and wrong afterwards, and the fastest of all."""
    result = tuner.search(
        model, study="late", trials=16, backend="fake:faults=late,fault_rate=0.7", workspace=tmp_path / "w"
    )
    # int8 has an error beyond the limit of its own
    others = [one for one in result.study.trials if one.candidate.settings["precision"] != "int8"]
    wrong = [trial for trial in others if trial.violations]
    assert min(others, key=lambda trial: trial.metrics["latency_ms"].value) in wrong
    assert result.best is not None
    assert result.best not in wrong
    result.export(tmp_path / "out")
    assert _evidence(tmp_path / "out")["trial"]["number"] == result.best.number
    for trial in wrong:
        with pytest.raises(UserError, match=r"misses error<=0\.01"):
            result.export(tmp_path / "other", trial=trial.number)
    assert not (tmp_path / "other").exists()
