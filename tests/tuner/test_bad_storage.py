"""Studies that cannot be stored, or that belong to another search."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.command import Command, start

# the database


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://somewhere/db", "studies cannot be stored in mysql://"),
        ("sqlite:///nowhere/studies.db", "unable to open database file. Name a file in a folder that exists"),
        ("sqlite://", "would be lost at the end"),
        (".", "unable to open database file. Name a file in a folder"),
        ("text.db", "file is not a database. Name another file"),
        ("", "the storage has an empty name"),
        ("postgresql://u:secret@127.0.0.1:1/db", "the storage postgresql://u@127.0.0.1:1/db cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_opened(
    command: Command, model: Path, tmp_path: Path, url: str, said: str
) -> None:
    (tmp_path / "text.db").write_text("not a database, and longer than the header of one is\n" * 20)
    complaint = command("search", model, "--backend", "fake", "--storage", url).complaint
    assert said in complaint
    assert "secret" not in complaint


@pytest.mark.parametrize("table", ["studies", "trials", "version_info", "alembic_version", "books"])
def test_a_file_of_another_program(command: Command, model: Path, tmp_path: Path, table: str) -> None:
    with closing(sqlite3.connect("x.db")) as database:
        database.execute(f"CREATE TABLE {table} (a)")
    before = (tmp_path / "x.db").read_bytes()
    for arguments in (["search", model, "--backend", "fake"], ["studies"], ["show"]):
        complaint = command(*arguments, "--storage", "x.db").complaint
        assert complaint.startswith(
            f"the storage {tmp_path / 'x.db'} has tables of another program ({table})"
        )
    assert (tmp_path / "x.db").read_bytes() == before


def test_an_option_of_the_url_that_would_be_ignored(command: Command, model: Path, tmp_path: Path) -> None:
    name = "sqlite:///x.db?mode=ro"
    for arguments in (["search", model, "--backend", "fake", "--quiet"], ["studies"]):
        complaint = command(*arguments, "--storage", name).complaint
        assert complaint == (
            "the storage URL has an option 'mode' that would be ignored. "
            "Leave it out, or write sqlite:///file:PATH?mode=ro for one of SQLite's own."
        )
    assert not (tmp_path / "x.db").exists()


def test_a_storage_of_a_newer_schema(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1)
    with closing(sqlite3.connect(".tuner/studies.db")) as database:
        database.execute("INSERT INTO tuner_schema SELECT 999, max(applied_at) FROM tuner_schema")
        database.commit()
    for arguments in (["search", model, "--backend", "fake"], ["show"], ["studies"]):
        assert "newer" in command(*arguments).complaint


def test_a_damaged_database(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 3)
    path = tmp_path / ".tuner" / "studies.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = b"\xee" * (len(data) // 2 - 4096)
    path.write_bytes(data)
    assert command("show").complaint.startswith("the storage ")


# a study of another search

OTHERS: list[tuple[list[str], str]] = [
    (["--shapes", "x:2x3x12x12"], "another shapes (x:1x3x12x12, not x:2x3x12x12)"),
    (["--seed", "1"], "another inputs (random of seed 0, not random of seed 1)"),
    (["--objective", "p99_ms"], "another objective (latency_ms, not p99_ms)"),
    (["--constraint", "error<=0.1"], "another constraint (error<=0.01, not error<=0.1)"),
    (["--backend", "fake:noise=0.1"], "another backend (fake, not fake:noise=0.1)"),
    (["--precision", "fp32"], "another search space"),
]


@pytest.mark.parametrize(("options", "said"), OTHERS, ids=[" ".join(o) for o, _ in OTHERS])
def test_a_study_name_that_belongs_to_another_search(
    command: Command, model: Path, options: list[str], said: str
) -> None:
    command("search", model, "--backend", "fake", "--trials", 1, "--study", "s")
    complaint = command("search", model, "--backend", "fake", "--study", "s", *options).complaint
    assert said in complaint
    assert complaint.startswith("the study 's' belongs to ")
    assert complaint.endswith("Choose another name with --study.")


def test_a_study_name_that_belongs_to_another_model(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1, "--study", "s")
    data = model.read_bytes()
    (tmp_path / "other.onnx").write_bytes(data.replace(b"y", b"z"))
    complaint = command("search", "other.onnx", "--backend", "fake", "--study", "s").complaint
    assert f"another model ({model}, not other.onnx)" in complaint


def test_a_study_of_another_machine(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1, "--study", "s")
    with closing(sqlite3.connect(".tuner/studies.db")) as database:
        changed = database.execute("UPDATE tuner_study SET spec = replace(spec, 'Imaginary', 'Other')")
        assert changed.rowcount == 1
        database.commit()
    complaint = command("search", model, "--backend", "fake", "--study", "s").complaint
    assert "another machine (Other GPU with 100 cores" in complaint


def test_a_new_study_of_a_name_that_is_taken(command: Command, model: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1, "--study", "s")
    complaint = command("search", model, "--backend", "fake", "--study", "s", "--new").complaint
    assert complaint == "a study 's' exists already. Choose another name, or leave --new out to go on."


def test_a_file_of_inputs_that_went_away_between_two_runs(
    command: Command, model: Path, tmp_path: Path
) -> None:
    np.savez("data.npz", x=np.ones((3, 3, 12, 12), np.float32))
    assert command("search", model, "--backend", "fake", "--inputs", "data.npz", "--trials", 1).code == 0
    (tmp_path / "data.npz").unlink()
    ended = command("search", model, "--backend", "fake", "--inputs", "data.npz", "--trials", 2)
    assert ended.code == 0
    assert "note: data.npz is gone: the copy in the workspace is used" in ended.err
    said = command("search", model, "--backend", "fake", "--inputs", "other.npz", "--trials", 2).complaint
    assert said.startswith("no such file: 'other.npz'")


def test_two_searches_of_one_study_at_once_do_not_mix(model: Path, tmp_path: Path) -> None:
    """The second to finish a trial stops with a line; nothing that is stored is overwritten."""
    options = ["search", model, "--backend", "fake:trial_seconds=0.02", "--trials", 12, "--study", "s"]
    runs = [start(*options, cwd=tmp_path), start(*options, cwd=tmp_path)]
    ended = [(*run.communicate(timeout=60), run.returncode) for run in runs]
    assert sorted(code for *_, code in ended) in ([0, 2], [0, 0])
    for _, printed, code in ended:
        assert "Traceback" not in printed
        if code == 2:
            assert "error: " in printed.splitlines()[-1]
    with closing(sqlite3.connect(tmp_path / ".tuner" / "studies.db")) as database:
        numbers = [row[0] for row in database.execute("SELECT number FROM tuner_trial ORDER BY number")]
    assert numbers == list(range(12))
