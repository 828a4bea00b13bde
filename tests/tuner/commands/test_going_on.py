"""The same command again: it goes on, says when nothing is left, and measures nothing twice without need."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import Command

FAKE = ("--backend", "fake")


def _settings(document: Any) -> list[dict[str, Any]]:
    return [trial["settings"] for trial in document["trials"]]


def test_the_same_command_goes_on_where_the_last_one_stopped(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 3)
    ended = command("search", model, *FAKE, "--trials", 5)
    assert "going on with study tiny after trial 2: up to 2 more trials" in ended.err
    assert [line.partition(":")[0] for line in ended.err.splitlines() if line.startswith("trial")] == [
        "trial 3",
        "trial 4",
    ]
    assert len(command("show", "--json").document["trials"]) == 5


def test_a_complete_study_is_said_to_be_complete_and_nothing_is_run(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 3)
    ended = command("search", model, *FAKE, "--trials", 3)
    assert ended.code == 0
    assert ended.err.endswith("study tiny has 3 trials already\n")
    assert (
        "Nothing was left to do: tiny has its 3 trials (--trials N for more, --new for another" in ended.out
    )
    document = command("search", model, *FAKE, "--trials", 2, "--json").document
    assert (document["ending"], document["new_trials"]) == ("complete", 0)


def test_an_exhausted_study_is_said_to_be_exhausted(command: Command, model: Path) -> None:
    options = ["--precision", "fp32", "--fix", "profile=wide", "--fix", "builder_optimization_level=3"]
    options += ["--fix", "max_aux_streams=0"]
    first = command("search", model, *FAKE, *options)
    assert "Nothing is left to try: " in first.out
    again = command("search", model, *FAKE, *options)
    assert "Nothing was left to do: tiny has tried all that it can" in again.out


def test_resume_goes_on_and_takes_the_study_named(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 2, "--study", "a")
    command("search", model, *FAKE, "--trials", 2, "--study", "b")
    ended = command("search", model, *FAKE, "--trials", 3, "--study", "a", "--resume")
    assert "going on with study a after trial 1" in ended.err


def test_new_begins_another_study_and_answers_what_is_known_from_storage(
    command: Command, model: Path
) -> None:
    options = [*FAKE, "--exhaustive", "--fix", "builder_optimization_level=3", "--fix", "max_aux_streams=0"]
    first = command("search", model, *options, "--no-racing", "--json").document
    second = command("search", model, *options, "--no-racing", "--new", "--json").document
    assert (first["study"], second["study"]) == ("tiny", "tiny-2")

    def found(document: Any) -> dict[str, Any]:
        return {str(trial["settings"]): trial["metrics"] for trial in document["trials"]}

    assert found(first) == found(second)
    assert len(found(first)) == 3 * 3 * 2
    assert all(trial["reused"] for trial in second["trials"])


def test_remeasure_measures_again_on_the_engines_that_are_there(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 3)
    document = command("search", model, *FAKE, "--trials", 3, "--new", "--remeasure", "--json").document
    assert [trial["reused"] for trial in document["trials"]] == [False] * 3


def test_another_seed_tries_other_candidates(command: Command, model: Path) -> None:
    first = command("search", model, *FAKE, "--trials", 5, "--json").document
    second = command("search", model, *FAKE, "--trials", 5, "--seed", 1, "--json").document
    assert second["study"] == "tiny-2"
    assert _settings(first)[0] == _settings(second)[0]
    assert _settings(first) != _settings(second)


def test_a_model_that_moved_is_the_same_model(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, *FAKE, "--trials", 2)
    (tmp_path / "elsewhere").mkdir()
    moved = model.rename(tmp_path / "elsewhere" / "renamed.onnx")
    assert "going on with study tiny" in command("search", moved, *FAKE, "--trials", 3).err


def test_a_timeout_ends_the_search_and_the_next_run_goes_on(command: Command, model: Path) -> None:
    slow = ("--backend", "fake:trial_seconds=0.2")
    first = command("search", model, *slow, "--trials", 3, "--timeout", "0.1s", "--json")
    assert (first.code, first.document["ending"], len(first.document["trials"])) == (0, "timeout", 1)
    second = command("search", model, *slow, "--trials", 3)
    assert "going on with study tiny after trial 0: up to 2 more trials" in second.err
    assert second.code == 0


def test_a_study_goes_on_in_another_folder_when_its_model_is_deleted(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("data.npz", x=np.ones((4, 3, 12, 12), np.float32))
    search = ("search", model.name, *FAKE, "--inputs", "data.npz")
    first = command(*search, "--trials", 4, "--json").document
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tmp_path / ".tuner", elsewhere)
    model.unlink()
    Path("data.npz").unlink()
    monkeypatch.chdir(elsewhere)
    ended = command(*search, "--trials", 6)
    assert "tiny.onnx is gone: the copy in the workspace is used" in ended.err
    assert "data.npz is gone: the copy in the workspace is used" in ended.err
    assert "going on with study tiny after trial 3: up to 2 more trials" in ended.err
    shown = command("show", "--json").document
    assert [one["settings"] for one in shown["trials"][:4]] == _settings(first)
    assert command("export", "engine").code == 0
    assert command("show", "--trial", 0).code == 0


def test_a_model_that_was_moved_is_the_same_study(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, *FAKE, "--trials", 3)
    moved = tmp_path / "moved" / "renamed.onnx"
    moved.parent.mkdir()
    shutil.move(model, moved)
    ended = command("search", moved, *FAKE, "--trials", 4)
    assert "going on with study tiny after trial 2: up to 1 more trial" in ended.err


def test_a_model_that_is_nowhere_is_no_file(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, *FAKE, "--trials", 2)
    shutil.rmtree(tmp_path / ".tuner" / "files")
    model.unlink()
    said = command("search", model, *FAKE, "--trials", 3).complaint
    assert said.startswith("no such file: ")
