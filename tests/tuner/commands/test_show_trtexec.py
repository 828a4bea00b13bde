"""`tuner show --trial N --trtexec`: the line that reproduces a trial of TensorRT."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from tests.command import Command
from tests.tuner.trtexec_trials import study, trial
from tuner import api


def test_a_trial_of_another_backend_has_no_line(command: Command, searched: Path) -> None:
    said = command("show", "--workspace", searched, "--trial", 0, "--trtexec").complaint
    assert said == (
        "trtexec builds engines of TensorRT, and 'net' is a study of fake. "
        "Show a trial of tensorrt or tensorrt-rtx."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trtexec"], "--trtexec is about one trial: name it with --trial N"),
        (["--trial", "0", "--trtexec", "--json"], "--trtexec and --json exclude each other"),
        (["--trial", "0", "--trtexec", "--csv"], "--trtexec and --csv exclude each other"),
        (["--trial", "99", "--trtexec"], "has no trial 99"),
    ],
)
def test_options_that_make_no_sense(command: Command, searched: Path, options: list[str], said: str) -> None:
    assert said in command("show", "--workspace", searched, *options).complaint


def test_the_line_is_printed_alone(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of = study()
    from tuner.api import Result

    shown_trial = trial(of, streams=2)
    found = Result(replace(of, trials=(shown_trial,)), Workspace(tmp_path))
    monkeypatch.setattr(api, "load_study", lambda *_, **__: found)
    shown = command("show", "--trial", shown_trial.number, "--trtexec")
    assert shown.out.startswith("trtexec --onnx=/models/resnet-tiny.onnx ")
    assert "--infStreams=2" in shown.out
    assert shown.err == ""
