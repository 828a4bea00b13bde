"""Models and workspaces whose names shells, terminals, URLs or markup would take for something else."""

from pathlib import Path

import pytest

from tests.command import Command

FAKE = ("--backend", "fake")


@pytest.mark.parametrize(
    "name",
    [
        "with space.onnx",
        "größe.onnx",
        "[red]x[b].onnx",
        "a'b\"c.onnx",
        "100%.onnx",
        "-dash.onnx",
        "no_suffix",
    ],
)
def test_model_names_of_every_kind(command: Command, model: Path, tmp_path: Path, name: str) -> None:
    renamed = model.rename(tmp_path / name)
    ended = command("search", renamed, *FAKE, "--trials", 2)
    assert ended.code == 0
    study = command("studies", "--json").document["studies"][0]["name"]
    assert (tmp_path / ".tuner/reports" / study / "report.html").is_file()
    assert command("show", study).code == 0
    assert command("export", study, "out").code == 0


@pytest.mark.parametrize("name", ["a b", "a%20b", "a?b", "a#b", "ü[red]", "a'b", "a;b"])
def test_workspaces_of_every_name(command: Command, model: Path, tmp_path: Path, name: str) -> None:
    assert command("search", model, *FAKE, "--trials", 2, "--workspace", f"w/{name}").code == 0
    assert [path.name for path in (tmp_path / "w").iterdir()] == [name]
    assert len(command("show", "--workspace", f"w/{name}", "--json").document["trials"]) == 2
