"""Studies of the version before today's schema, in a folder that they were not written in."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.core import earlier, wire
from studies.core.records import StudySpec
from studies.storage.storage import open_storage
from tests.command import Command
from tests.old import unpack


@pytest.mark.parametrize("name", ["cpu", "h200"])
def test_old_study_is_shown_as_it_was(command: Command, tmp_path: Path, name: str) -> None:
    unpack(name, tmp_path)
    shown = command("show", "--workspace", "w", "--json").document
    # the last digits are the processor's
    assert rounded(shown) == rounded(json.loads((tmp_path / "show.json").read_text()))
    with open_storage("w/studies.db") as storage:
        study = storage.read_study("mlp")
        (model,) = storage.files("mlp")
        assert storage.attempts("mlp") == ()
        assert storage.devices("mlp") == ()
    devices = [*(one.device for one in study.trials), *(one.device for one in study.repeats)]
    assert set(devices) == {""}
    assert (model.role, model.digest, model.name) == ("model", study.spec.workload.model.digest, "mlp.onnx")


@pytest.mark.parametrize(("name", "engine"), [("cpu", "engine.onnx"), ("h200", "engine.plan")])
def test_engine_of_an_old_study_is_exported_and_its_report_written(
    command: Command, tmp_path: Path, name: str, engine: str
) -> None:
    unpack(name, tmp_path)
    (stored,) = tmp_path.glob(f"w/engines/*/{engine}")
    before = stored.read_bytes()
    assert command("export", "--workspace", "w", "out").code == 0
    assert (tmp_path / "out" / engine).read_bytes() == before
    assert command("dashboard", "--workspace", "w", "--output", "report.html").code == 0
    assert "mlp" in (tmp_path / "report.html").read_text()


def test_search_goes_on_with_an_old_study(command: Command, tmp_path: Path) -> None:
    unpack("cpu", tmp_path)
    asked = ["search", "mlp.onnx", "--shapes", "features:8x64", "--self-test", 0, "--finalists", 0]
    command(*asked, "--workspace", "today", "--trials", 1)
    before = json.loads((tmp_path / "show.json").read_text())["trials"]
    as_if_written_here(Path("w/studies.db"), spec_in(Path("today/studies.db")))
    ended = command(*asked, "--workspace", "w", "--trials", len(before) + 1, "--json")
    assert f"going on with study mlp after trial {len(before) - 1}: up to 1 more trial" in ended.err
    trials = ended.document["trials"]
    assert len(trials) == len(before) + 1
    assert rounded([one["settings"] for one in trials[:-1]]) == rounded([one["settings"] for one in before])
    assert trials[-1]["state"] in ("feasible", "infeasible")
    with open_storage("w/studies.db") as storage:
        assert storage.study_names() == ("mlp",)


def spec_in(database: Path) -> StudySpec:
    with open_storage(str(database)) as storage:
        spec = storage.find_spec("mlp")
    assert spec is not None
    return spec


def as_if_written_here(database: Path, today: StudySpec) -> None:
    """Gives the old study this machine, and the choices that depend on its number of cores."""
    with closing(sqlite3.connect(database)) as connection:
        (text,) = connection.execute("SELECT spec FROM tuner_study").fetchone()
        old = earlier.from_json(text, StudySpec)
        threads = {one.name: one.choices for one in today.space if one.name == "intra_op_threads"}
        space = tuple(replace(one, choices=threads.get(one.name, one.choices)) for one in old.space)
        changed = json.loads(wire.to_json(replace(old, space=space, machine=today.machine)))
        # everything else stays as the old version wrote it
        spec = {**json.loads(text), "space": changed["space"], "machine": changed["machine"]}
        connection.execute("UPDATE tuner_study SET spec = ?", [json.dumps(spec)])
        connection.commit()


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value
