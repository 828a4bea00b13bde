"""What README and docs tell a user to type: programs are run, commands are read by the real parser."""

import re
import shlex
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort
import optuna
import pytest

from examples import models
from tests.paths import ROOT
from tests.worker_threads import workers_in_threads
from tuner.cli import COMMANDS, tuner

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def _commands() -> list[str]:
    inline = [text for page in PAGES for text in re.findall(r"`(tuner \w[^`]*)`", page.read_text())]
    blocks = (block.replace("\\\n", " ") for page in PAGES for block in _blocks(page, ""))
    lines = [line for block in blocks for line in block.splitlines()]
    found = [line for line in [*inline, *lines] if re.match(r"tuner (" + "|".join(COMMANDS) + r")\b", line)]
    return sorted({" ".join(line.split()) for line in found})


def test_there_are_commands_to_read() -> None:
    assert len(_commands()) > 10


@pytest.mark.parametrize("line", _commands())
def test_a_command_in_the_docs_is_one_that_is_taken(line: str) -> None:
    name, *arguments = shlex.split(line.replace("--trial N", "--trial 0"), comments=True)[1:]
    if name in ("search", "record") and (not arguments or arguments[0].startswith("-")):
        arguments = ["model.onnx", *arguments]  # the text is about the options
    command = tuner.get_command(click.Context(tuner), name)
    assert command is not None
    command.make_context(name, arguments)


def test_the_programs_in_the_readme_and_the_guide_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.save("mlp", tmp_path).rename(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    (readme,) = _blocks(ROOT / "README.md", "python")
    of_this_model = readme.replace('{"x": (8, 3, 224, 224)}', '{"features": (8, 64)}')
    with workers_in_threads():
        exec(of_this_model.replace("trials=50", "trials=2"), {})
    assert (tmp_path / "trials.csv").exists()
    names: dict[str, object] = {}
    (guide,) = _blocks(ROOT / "docs" / "guide.md", "python")
    exec(guide, names)
    session = names["session"]
    assert isinstance(session, ort.InferenceSession)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: np.ones((1, 64), dtype=np.float32)})
    assert np.isfinite(outputs).all()


def test_the_sampler_in_the_docs_finds_the_best() -> None:
    names: dict[str, object] = {}
    (program,) = _blocks(ROOT / "docs" / "searching.md", "python")
    exec(program, names)
    study = names["study"]
    assert isinstance(study, optuna.Study)
    assert study.best_params == {"precision": "fp16", "level": 4}
