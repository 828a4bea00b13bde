"""What a command is told to write replaces an earlier one of its kind, and nothing of the user's own."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import tuner
from dashboards.charts.sensitivity import Sensitivity
from dashboards.pages import sensitivity, study
from engines.core.errors import UserError
from engines.core.results import NodeError
from engines.landscapes import file as landscapes
from examples import models
from studies.analysis.view import StudyView
from tests.command import Command
from tests.landscapes import landscape, run, workload
from tests.records import study_record
from tuner.options.output_files import CHART, LANDSCAPE, REPORT, Output, check_output

FEW = ("--candidates", 2, "--passes", 0, "--self-test", 0)


def _landscape(path: Path) -> None:
    runs = [run(of, 0, 1.0) for of in range(6)]
    landscapes.save(path, landscape(workload(path.parent), runs))


def _report(path: Path) -> None:
    study.write(StudyView(study_record(2)), path)


def _chart(path: Path) -> None:
    nodes = (NodeError("a<b>", "Conv", 0.1),)
    sensitivity.write(Sensitivity("m<1>.onnx", "int8", nodes, 1), path)


WRITERS = ((_landscape, LANDSCAPE), (_report, REPORT), (_chart, CHART))


@pytest.mark.parametrize(("write", "own"), WRITERS)
def test_output_replaces_only_a_file_of_its_kind(
    write: Callable[[Path], None], own: Output, tmp_path: Path
) -> None:
    path = tmp_path / "written"
    write(path)
    check_output(path, own)
    for other in {LANDSCAPE, REPORT, CHART} - {own}:
        with pytest.raises(UserError, match=f"written' is there already and is no {other.what} of ours"):
            check_output(path, other)


@pytest.mark.parametrize("output", [LANDSCAPE, REPORT, CHART])
@pytest.mark.parametrize(
    "content",
    [
        b"\n",
        b"SQLite format 3\0",
        b"<!doctype html>\n<html><head><title>Mine</title>",
        b"\x1f\x8b",
        gzip.compress(b""),
        gzip.compress(b'{"mine":1}'),
        gzip.compress(b"mine" * 9999)[:40],
    ],
    # what gzip writes has the time in it, and tests must have the same names in every process
    ids=["text", "database", "page", "too short", "empty gzip", "json in gzip", "cut gzip"],
)
def test_other_files_are_kept(output: Output, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(content)
    with pytest.raises(UserError, match=r"Name another file, or move this one away\."):
        check_output(tmp_path / "mine", output)


def test_empty_file_is_replaced_and_folders_are_created(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    check_output(tmp_path / "empty", REPORT)
    check_output(tmp_path / "a" / "b" / "new", REPORT)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(UserError, match="'/dev/null' is not a regular file"):
        check_output(Path("/dev/null"), REPORT)


def test_pipe_as_output_is_refused_at_once(pipe: Callable[[str], Path]) -> None:
    with pytest.raises(UserError, match="is not a regular file"):
        check_output(pipe("report.html"), REPORT)


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_input_of_the_output_is_kept_under_any_name(
    link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    read, name = tmp_path / "l.json.gz", tmp_path / "other.json.gz"
    _landscape(read)
    link(read, name)
    with pytest.raises(UserError, match=r"other.json.gz', which it is made from\. Name another file\."):
        check_output(name, LANDSCAPE, (None, read))
    check_output(name, LANDSCAPE, (tmp_path / "third",))


def test_input_that_does_not_exist_yet_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="which it is made from"):
        check_output(Path("w/../studies.db"), LANDSCAPE, (tmp_path / "studies.db",))


# the commands


def test_a_recording_keeps_the_model(command: Command, model: Path) -> None:
    before = model.read_bytes()
    said = command("record", model, "--backend", "fake", *FEW, "--output", model).complaint
    assert said == f"the landscape cannot replace {str(model)!r}, which it is made from. Name another file."
    assert model.read_bytes() == before
    assert not Path(".tuner").exists()


def test_a_recording_keeps_its_database_which_may_not_be_there_yet(command: Command, model: Path) -> None:
    arguments = ("record", model, "--backend", "fake", *FEW, "--workspace", "w", "--output")
    assert "which it is made from" in command(*arguments, "w/studies.db").complaint
    assert command(*arguments, "l.json.gz").code == 0
    assert "which it is made from" in command(*arguments, "w/studies.db").complaint
    named = ("--storage", "sqlite:///other.db")
    assert "which it is made from" in command(*arguments, "other.db", *named).complaint
    assert command("studies", "--workspace", "w").code == 0


def test_a_recording_goes_on_into_the_file_of_the_one_before(command: Command, model: Path) -> None:
    arguments = ("record", model, "--backend", "fake", *FEW, "--output", "l.json.gz")
    assert [command(*arguments).code, command(*arguments).code] == [0, 0]


def test_a_recording_keeps_the_landscape_that_it_replays(command: Command, model: Path) -> None:
    assert command("record", model, "--backend", "fake", *FEW).code == 0
    file = Path(".tuner/reports/tiny-landscape/landscape.json.gz")
    before = file.read_bytes()
    replay = ("record", model, "--backend", f"replay:landscape={file}", *FEW, "--study", "tiny-landscape")
    named = (*replay, "--workspace", "w", "--output", file)
    assert f"cannot replace {str(file)!r}, which it is made from" in command(*named).complaint
    # its own place in a workspace that has lost its studies
    Path(".tuner/studies.db").unlink()
    refused = command(*replay)
    assert (refused.code, refused.out) == (2, "")
    assert "which it is made from" in refused.err
    assert file.read_bytes() == before


def test_a_report_keeps_the_database(command: Command, model: Path) -> None:
    assert command("search", model, "--backend", "fake", "--trials", 1, "--workspace", "w").code == 0
    said = command("dashboard", "--workspace", "w", "--output", "w/studies.db").complaint
    assert said.startswith("'w/studies.db' is there already and is no report of ours. Name another file")
    assert command("studies", "--workspace", "w").code == 0
    assert [command("dashboard", "--workspace", "w").code for _ in range(2)] == [0, 0]


def test_the_api_writes_a_report_over_a_report_alone(searched: Path, tmp_path: Path) -> None:
    result, file = tuner.load_study(workspace=searched), tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(UserError, match="is no report of ours"):
        result.report(file)
    assert file.read_text() == "mine"
    assert result.report(tmp_path / "r.html") == result.report(tmp_path / "r.html")


def test_chart_does_not_replace_model_or_other_files(command: Command, tmp_path: Path) -> None:
    mlp = models.save("mlp", tmp_path)
    before = mlp.read_bytes()
    assert "which it is made from" in command("sensitivity", mlp, "--output", mlp).complaint
    assert mlp.read_bytes() == before
    Path("notes.txt").write_text("mine")
    assert "is no chart of ours" in command("sensitivity", mlp, "--output", "notes.txt").complaint
    assert Path("notes.txt").read_text() == "mine"
    again = [command("sensitivity", mlp, "--output", "chart.html").code for _ in range(2)]
    assert again == [0, 0]
