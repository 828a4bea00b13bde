"""`tuner search --dry-run`: what would be searched, and how long that takes."""

import re
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.worker.client import Worker
from tests.command import Command

FAKE = ("--backend", "fake")


def test_the_plan_shows_space_size_baseline_constraints_and_cost(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--dry-run", "--trials", 20, "--shapes", "x:2x3x12x12")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == f"model        {model} at x:2x3x12x12"
    assert "machine      Imaginary GPU, 100 cores" in lines
    assert "objective    minimize latency_ms" in lines
    assert "constraints  error<=0.01" in lines
    row = next(line for line in lines if line.startswith("profile"))
    assert re.split(r"\s{2,}", row)[1:3] == ["build", "wide*, narrow, static"]
    assert "432 candidates of 216 engines: " in ended.out
    assert "20 trials: at most 20 builds, and 14.0 s to 80.0 s of measuring." in lines
    baseline, predicted, _, stopping = lines[-4:]
    assert re.match(r"The baseline has [\d.]+ ± [\d.]+ ms; making its engine took [\d.e-]+ s, ", baseline)
    assert baseline.endswith(" It is kept as trial 0 of the study tiny, with which the search goes on.")
    assert re.fullmatch(
        r"Predicted for 19 more trials: about .+ \(.+ to .+\); "
        r"of it .+ builds, .+ measuring, .+ finals\.",
        predicted,
    )
    assert stopping == "It stops sooner once going on is not likely to gain 1 % (--min-gain)."


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            (),
            "the baseline about 7 times more and at the end 4 finalists beside it, in 5 sessions",
        ),
        (("--finalists", 0), "the baseline about 7 times more"),
        (
            ("--self-test", 0, "--finalists", 1, "--rebuild-finalists", 2),
            "at the end 1 finalist beside it, in 5 sessions, each with 2 rebuilds",
        ),
    ],
)
def test_the_plan_shows_what_is_measured_besides_the_trials(
    command: Command, model: Path, options: tuple[object, ...], said: str
) -> None:
    ended = command("search", model, "--backend", "fake", "--trials", 20, "--dry-run", *options)
    assert f"Measured besides: {said}." in ended.out


def test_finalists_are_no_more_than_there_are_candidates(command: Command, model: Path) -> None:
    plan = ("search", model, "--backend", "fake", "--dry-run", "--trials")
    assert "at the end 2 finalists beside it" in command(*plan, 3).out
    assert "Measured besides" not in command(*plan, 1).out


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        (("latency_ms", "error"), "Measured besides: the baseline about 7 times more."),
        (("engine_bytes",), ""),
    ],
)
def test_measurements_useless_for_the_objectives_are_not_planned(
    command: Command, model: Path, objectives: tuple[str, ...], said: str
) -> None:
    named = [part for name in objectives for part in ("--objective", name)]
    ended = command("search", model, "--backend", "fake", "--trials", 20, "--dry-run", *named)
    lines = [line for line in ended.out.splitlines() if line.startswith("Measured besides")]
    assert lines == ([said] if said else [])


def test_the_search_goes_on_with_the_baseline_of_the_plan(command: Command, model: Path) -> None:
    planned = command("search", model, *FAKE, "--dry-run", "--json").document
    assert (planned["study"], planned["finished_trials"]) == ("tiny", 0)
    assert not planned["measured_baseline"]["known"]
    searched = command("search", model, *FAKE, "--trials", 2, "--json").document
    assert (searched["study"], searched["new_trials"]) == (planned["study"], 1)
    kept = planned["measured_baseline"]["metrics"]["latency_ms"]
    assert searched["trials"][0]["metrics"]["latency_ms"] == kept
    again = command("search", model, *FAKE, "--dry-run", "--json").document
    assert again["measured_baseline"]["known"]
    assert again["finished_trials"] == 2
    assert again["prediction"]["trials"] == 48


def test_a_baseline_that_another_study_measured_is_not_measured_again(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 1, "--study", "first")
    options = ["--objective", "p99_ms", "--objective", "error"]
    planned = command("search", model, *FAKE, "--dry-run", "--constraint", "error<=0.1", "--json").document
    assert planned["measured_baseline"]["known"]
    assert planned["prediction"]["trials"] == 49
    assert [one["name"] for one in command("studies", "--json").document["studies"]] == ["first"]
    other = command("search", model, *FAKE, "--dry-run", *options, "--json").document
    assert not other["measured_baseline"]["known"], "it is timed in another way"


def test_remeasure_does_not_reuse_another_study(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 1, "--study", "first")
    options = ("--constraint", "error<=0.1", "--study", "other", "--remeasure")
    planned = command("search", model, *FAKE, "--dry-run", *options, "--json").document
    assert not planned["measured_baseline"]["known"]
    (trial,) = command("show", "other", "--json").document["trials"]
    assert not trial["reused"]


def test_complete_study_has_no_trials_left(command: Command, model: Path) -> None:
    command("search", model, *FAKE, "--trials", 2, "--study", "done")
    ended = command("search", model, *FAKE, "--trials", 2, "--study", "done", "--dry-run")
    assert ended.out.splitlines()[-1] == "The study done has its 2 trials already."


def test_a_time_limit_says_how_far_it_goes(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 400, "--timeout", "10s", "--dry-run")
    assert "--timeout ends it after 10.0 s, before all of its 400 trials." in ended.out
    whole = command("search", model, *FAKE, "--trials", 400, "--dry-run", "--json").document["prediction"]
    cut = command("search", model, *FAKE, "--trials", 400, "--timeout", "10s", "--dry-run", "--json").document
    assert whole["trials"] == 399
    assert 0 < cut["prediction"]["trials"] < 399
    assert cut["prediction"]["total_seconds"]["expected"] < whole["total_seconds"]["expected"]


def test_exhaustive_search_predicts_every_candidate(command: Command, model: Path) -> None:
    fixed = ("--exhaustive", "--precision", "fp32", "--fix", "profile=wide")
    planned = command("search", model, *FAKE, "--dry-run", "--json", *fixed).document
    assert planned["trials"] == planned["candidates"] == 48
    assert planned["min_gain"] is None
    assert planned["prediction"]["trials"] == 47
    assert "sooner" not in command("search", model, *FAKE, "--dry-run", *fixed).out


def test_a_baseline_that_fails_is_said_and_predicts_nothing(command: Command, model: Path) -> None:
    broken = (*FAKE, "--trial-timeout", "1ms")
    ended = command("search", model, *broken, "--dry-run")
    assert ended.code == 3
    assert re.search(r"^The baseline failed at \w+: ", ended.out, flags=re.MULTILINE)
    assert ended.out.endswith("What the search would take is known once a trial was measured.\n")
    document = command("search", model, *broken, "--dry-run", "--json").document
    assert document["prediction"] is None
    assert document["measured_baseline"]["failure"]["stage"]


def test_an_interrupt_leaves_the_plan_without_a_prediction(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Worker, *arguments: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Worker, "evaluate_unless_measured", interrupted)
    ended = command("search", model, *FAKE, "--dry-run")
    assert ended.code == 130
    assert ended.out.startswith("model        ")
    assert ended.out.splitlines()[-1].startswith("Interrupted: ")
    document = command("search", model, *FAKE, "--dry-run", "--json")
    assert document.code == 130
    assert document.document["prediction"] is None


def test_the_plan_as_json(command: Command, model: Path) -> None:
    document = command("search", model, *FAKE, "--dry-run", "--json", "--precision", "fp32").document
    assert document["schema"] == 1
    assert document["candidates"] == 3 * 6 * 4 * 2
    assert document["engines"] == 3 * 6 * 4
    assert document["baseline"]["precision"] == "fp32"
    assert document["space"][0] == {
        "name": "precision",
        "kind": "graph",
        "choices": ["fp32"],
        "excluded": {},
        "about": "numeric type of weights and activations",
    }
    least, most = document["measuring_seconds"]
    assert 0 < least < most


def test_no_more_trials_are_planned_than_there_are_candidates(command: Command, model: Path) -> None:
    fixed = ["profile=wide", "builder_optimization_level=3", "max_aux_streams=0"]
    options = [part for text in fixed for part in ("--fix", text)]
    outside = command("search", model, *FAKE, "--dry-run", "--json", *options, "--precision", "int8").document
    inside = command("search", model, *FAKE, "--dry-run", "--json", *options, "--precision", "fp32").document
    assert (outside["candidates"], outside["trials"]) == (2, 3), "the baseline comes on top"
    assert (inside["candidates"], inside["trials"]) == (2, 2)


def test_unsupported_choices_are_left_out_with_the_reason(command: Command, model: Path) -> None:
    options = ["--backend", "onnxruntime", "--dry-run"]
    excluded = command("search", model, *options, "--json").document["space"][0]["excluded"]
    out = command("search", model, *options).out
    for choice, reason in excluded.items():
        assert f"precision={choice} is left out: {reason}." in out


def test_a_model_that_cannot_run_has_a_plan_and_one_line_why(command: Command, tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([7, -1]), "shape")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    graph = helper.make_graph([node], "g", [x], [y], [shape])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "model.onnx")
    ended = command("search", "model.onnx", "--backend", "onnxruntime", "--dry-run")
    assert ended.code == 2
    assert ended.out.startswith("model        ")
    assert ended.out.splitlines()[-1].startswith("The time of the search cannot be predicted: ")
    assert ended.err.splitlines()[-1].startswith("error: ")


def test_mistakes_are_found_without_running_anything(command: Command, model: Path) -> None:
    said = command("search", model, *FAKE, "--dry-run", "--fix", "precision=fp8").complaint
    assert said.startswith("precision cannot be 'fp8'")
