"""`tuner studies`."""

from pathlib import Path

from studies.storage.storage import open_storage
from tests.command import Command


def test_studies_are_listed_with_the_newest_last(command: Command, model: Path) -> None:
    for name in ("first", "second"):
        command("search", model, "--backend", "fake", "--trials", 2, "--study", name)
    lines = command("studies").out.splitlines()
    assert lines[0].split() == ["study", "model", "backend", "trials", "failed", "created", "last", "trial"]
    assert [line.split()[:5] for line in lines[1:]] == [
        ["first", "tiny.onnx", "fake", "2", "0"],
        ["second", "tiny.onnx", "fake", "2", "0"],
    ]
    document = command("studies", "--json").document
    assert document["schema"] == 1
    assert [study["name"] for study in document["studies"]] == ["first", "second"]
    assert document["studies"][0]["trials"] == 2


def test_a_database_without_studies_says_how_to_make_one(command: Command, tmp_path: Path) -> None:
    with open_storage(str(tmp_path / "empty.db")):
        pass
    ended = command("studies", "--storage", "empty.db")
    assert (ended.code, ended.out) == (0, "There are no studies yet: tuner search MODEL makes the first.\n")
    assert command("studies", "--storage", "empty.db", "--json").document == {"schema": 1, "studies": []}
    assert command("show", "--storage", "empty.db").complaint.startswith("there are no studies yet")
