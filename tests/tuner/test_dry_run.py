"""`tuner search --dry-run`: what would be searched and what it costs; nothing is run."""

import re
from pathlib import Path

import pytest

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
    assert lines[-1].startswith("Nothing was run.")


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


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        (("latency_ms", "error"), "Measured besides: the baseline about 7 times more."),
        (("engine_bytes",), ""),
    ],
)
def test_what_could_tell_nothing_of_the_objectives_is_not_promised(
    command: Command, model: Path, objectives: tuple[str, ...], said: str
) -> None:
    named = [part for name in objectives for part in ("--objective", name)]
    ended = command("search", model, "--backend", "fake", "--trials", 20, "--dry-run", *named)
    lines = [line for line in ended.out.splitlines() if line.startswith("Measured besides")]
    assert lines == ([said] if said else [])


def test_nothing_is_run_and_nothing_kept(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, *FAKE, "--dry-run")
    assert {path.name for path in tmp_path.iterdir()} == {model.name}


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


def test_what_this_machine_cannot_use_is_left_out_with_the_reason(command: Command, model: Path) -> None:
    options = ["--backend", "onnxruntime", "--dry-run"]
    excluded = command("search", model, *options, "--json").document["space"][0]["excluded"]
    out = command("search", model, *options).out
    for choice, reason in excluded.items():
        assert f"precision={choice} is left out: {reason}." in out


def test_mistakes_are_found_without_running_anything(command: Command, model: Path) -> None:
    said = command("search", model, *FAKE, "--dry-run", "--fix", "precision=fp8").complaint
    assert said.startswith("precision cannot be 'fp8'")
