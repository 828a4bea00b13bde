"""`tuner doctor`: the machine's conditions, and the A/A self-test alone."""

import re
from pathlib import Path

import msgspec
import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.machine.host_conditions import STATES, WHILE_BUSY, WHILE_IDLE
from engines.worker import questions
from tests.command import Command
from tuner.documents.commands import Diagnosis
from tuner.workflows import doctor

FAKE = ("--backend", "fake")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for others to do something, and no GPU of this machine is asked."""
    monkeypatch.setattr(doctor, "IDLE_SECONDS", 0.0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


def _detectable(command: Command, backend: str, *more: object) -> float:
    document = command("doctor", "--backend", backend, "--json", *more).document
    return float(document["self_test"]["detectable"])


def test_conditions_and_the_smallest_difference_are_said(command: Command) -> None:
    ended = command("doctor", *FAKE)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert re.split(r" {2,}", lines[0]) == ["condition", "verdict", "found", "what to do"]
    assert {check.name for check in (*STATES, *WHILE_IDLE, *WHILE_BUSY)} <= {
        re.split(r" {2,}", line)[0] for line in lines
    }
    sentence = (
        r"This machine can tell two engines apart that differ by [\d.]+ % or more \(10 runs of [\d.]+ s\)\."
    )
    assert re.search(sentence, ended.out)
    assert lines[-1] == "That was a made-up network; tuner doctor MODEL says it of yours."


def test_noisy_facts_come_first_and_unknown_last(command: Command) -> None:
    table = command("doctor", "--runs", 0).out.splitlines()[1:]
    verdicts = [re.split(r" {2,}", line)[1] for line in table]
    assert verdicts == sorted(verdicts, key=["noisy", "fine", "unknown"].index)


def test_runs_that_differ_more_hide_larger_differences(command: Command) -> None:
    calm, wild = (_detectable(command, f"fake:run_noise={noise}") for noise in (0.001, 0.1))
    assert 0 < calm < 0.05 < wild


def test_the_same_engine_is_measured_as_often_as_asked(command: Command) -> None:
    test = command("doctor", *FAKE, "--runs", 4, "--json").document["self_test"]
    assert len(test["values"]) == 4
    assert len({value["value"] for value in test["values"]}) == 4, "each is a run of its own"
    assert (test["backend"], test["metric"], test["machine"]["kind"]) == ("fake", "latency_ms", "simulated")


def test_a_model_of_the_user_is_measured_at_its_shapes(command: Command, model: Path) -> None:
    ended = command("doctor", model, *FAKE, "--shapes", "x:2x3x12x12", "--runs", 3)
    assert ended.code == 0
    assert "(3 runs of" in ended.out
    assert "made-up network" not in ended.out


def test_the_small_network_is_measured_by_onnx_runtime(command: Command) -> None:
    test = command("doctor", "--backend", "onnxruntime", "--runs", 3, "--json").document["self_test"]
    assert all(value["value"] > 0 for value in test["values"])
    assert test["detectable"] > 0


def test_without_runs_the_machine_is_only_looked_at(command: Command) -> None:
    ended = command("doctor", "--runs", 0, "--json")
    assert ended.code == 0
    assert ended.document["self_test"] is None
    names = {one["name"] for one in ended.document["conditions"]}
    assert names == {check.name for check in (*STATES, *WHILE_IDLE)}


def test_throttled_blocks_are_found(command: Command) -> None:
    document = command("doctor", "--backend", "fake:throttle=0.5", "--runs", 3, "--json").document
    found = {one["name"]: one["verdict"] for one in document["conditions"]}
    assert found["throttling under load"] == "noisy"


def test_other_processes_on_the_gpu_are_found(command: Command) -> None:
    document = command("doctor", "--backend", "fake:waiting=0.3", "--runs", 3, "--json").document
    found = {one["name"]: one["verdict"] for one in document["conditions"]}
    assert found["sharing under load"] == "noisy"


def test_nothing_is_kept_unless_a_workspace_is_named(command: Command, model: Path, tmp_path: Path) -> None:
    command("doctor", model, *FAKE, "--runs", 3)
    assert {path.name for path in tmp_path.iterdir()} == {model.name}
    command("doctor", model, *FAKE, "--runs", 3, "--workspace", "w")
    assert list((tmp_path / "w" / "engines").iterdir())


def test_progress_is_said_on_standard_error_unless_it_is_quiet(command: Command) -> None:
    assert "note: measuring the same engine 3 times\n" in command("doctor", *FAKE, "--runs", 3).err
    assert command("doctor", *FAKE, "--runs", 3, "-q").err == ""


def test_a_gpu_that_cannot_be_asked_is_unknown_where_another_backend_is_measured(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(workspace: Workspace, index: int) -> None:
        raise UserError("the package 'cuda-bindings' is not installed", "Install it.")

    monkeypatch.setattr(questions, "has_gpu", lambda workspace: True)
    monkeypatch.setattr(questions, "gpu_conditions", refuse)
    document = command("doctor", *FAKE, "--runs", 0, "--json").document
    (found,) = [one for one in document["conditions"] if one["name"] == "GPU"]
    assert found == {
        "name": "GPU",
        "verdict": "unknown",
        "found": "the package 'cuda-bindings' is not installed",
        "advice": "Install it.",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--runs", "1"], "--runs must be at least 3, not 1. 0 looks at the machine and measures nothing."),
        (["--runs", "-1"], "--runs must be at least 3, not -1."),
        (["--runs", "many"], "invalid value for '--runs'"),
        (["--shapes", "x:1x2"], "--shapes needs a model. Write tuner doctor MODEL --shapes ..."),
        (["--inputs", "x.npz"], "--inputs needs a model. Write tuner doctor MODEL --inputs ..."),
        (["gone.onnx"], "no such file: 'gone.onnx'. Check the path of the model."),
        ([""], "the path is empty"),
        (["a.onnx", "b.onnx"], "got unexpected extra argument (b.onnx)"),
        (["--backend", "tensorflow"], "unknown backend 'tensorflow'. Known: auto, "),
        (["--backend", "fake:speed=9"], "the backend fake has no option 'speed'"),
        (["--workspace", ""], "the path is empty"),
        (["--trials", "9"], "there is no option '--trials'"),
    ],
)
def test_wrong_use_is_one_line(command: Command, arguments: list[str], said: str) -> None:
    assert said in command("doctor", "-q", *arguments).complaint


def test_shapes_that_the_model_does_not_take_are_wrong_use(command: Command, model: Path) -> None:
    assert "y" in command("doctor", model, *FAKE, "-q", "--shapes", "y:1x2").complaint


def test_inputs_that_are_not_there_are_wrong_use(command: Command, model: Path) -> None:
    assert "gone.npz" in command("doctor", model, *FAKE, "-q", "--inputs", "gone.npz").complaint


def test_invalid_model_file_is_wrong_use(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    assert "text.onnx" in command("doctor", "text.onnx", *FAKE, "-q").complaint


def test_a_workspace_that_cannot_be_written_is_wrong_use(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot write to the workspace file" in command("doctor", "-q", "--workspace", "file").complaint


def test_a_backend_for_gpus_without_one_is_wrong_use(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "no NVIDIA GPU can be used" in command("doctor", "-q", "--backend", "tensorrt-rtx").complaint


@pytest.mark.processes
def test_failed_baseline_is_reported_with_its_stage(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LONGEST_RUN_SECONDS", 0.0)
    said = command("doctor", "-q", "--backend", "fake:trial_seconds=60").complaint
    assert re.match(r"the baseline fails at \w+: still not done after 0 s\. ", said)


def test_doctor_prints_what_its_document_says(command: Command) -> None:
    printed = command("doctor", *FAKE, "--runs", 3, "--json").out
    document = msgspec.json.decode(printed, type=Diagnosis)
    assert document.self_test is not None
    assert len(document.self_test.values) == 3
