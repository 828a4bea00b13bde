"""`tuner measure`: what can be measured, by itself, and what is printed for people and for programs."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engines.core.results import Block
from tests.command import Command
from tests.engines.statistics.test_trtexec import four
from tests.tuner.measured_engines import export, measured
from tuner.documents.base import dump
from tuner.documents.commands import MeasuredEngine
from tuner.output.measured import document

SHORT = ("--warm-up", "5ms", "--duration", "20ms")


def document_of(command: Command, *arguments: object) -> Any:
    return command("measure", *arguments, *SHORT, "--json").document


# what can be measured


def test_an_export_runs_on_its_backend_at_its_shapes_with_its_settings(
    command: Command, exported: Path
) -> None:
    found = document_of(command, exported)
    assert found["about"] == "trial 0 of tiny"
    assert found["backend"]["name"] == "fake"
    assert found["shapes"] == {"x": [2, 3, 12, 12]}
    assert found["settings"]["precision"] == "fp32"
    assert found["settings"]["batch"] == found["measurement"]["batch"] == 2


def test_the_engine_inside_an_export_is_the_export(command: Command, exported: Path) -> None:
    assert document_of(command, exported / "engine.json")["about"] == "trial 0 of tiny"


def test_an_export_of_onnx_runtime_is_measured(command: Command, tmp_path: Path) -> None:
    found = document_of(command, export(tmp_path, "onnxruntime"), "--streams", 2)
    assert found["settings"]["graph_optimization_level"] == "all"
    assert found["measurement"]["streams"] == 2


def test_a_model_is_measured_by_onnx_runtime(command: Command, model: Path) -> None:
    found = document_of(command, model, "--shapes", "x:4x3x12x12")
    assert (found["backend"]["name"], found["shapes"]) == ("onnxruntime", {"x": [4, 3, 12, 12]})
    assert found["metrics"]["latency_ms"]["value"] > 0
    assert found["metrics"]["latency_ms"]["low"] is not None


def test_shapes_asked_for_go_before_those_of_the_export(command: Command, exported: Path) -> None:
    found = document_of(command, exported, "--shapes", "x:3x3x12x12")
    assert found["shapes"] == {"x": [3, 3, 12, 12]}
    assert found["settings"]["batch"] == 3


def test_inputs_may_be_the_users(command: Command, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", x=np.ones((1, 3, 12, 12), np.float32))
    assert document_of(command, model, "--inputs", tmp_path / "in.npz")["measurement"]["samples"] > 0


def test_nothing_is_kept(command: Command, model: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    document_of(command, model)
    assert set(tmp_path.rglob("*")) == before


# what is printed


def test_the_table_has_every_metric_with_its_interval(command: Command, exported: Path) -> None:
    shown = command("measure", exported)
    lines = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert {"engine", "machine", "shapes", "latency_ms", "p99_ms", "throughput", "variation"} <= lines.keys()
    assert "±" in lines["latency_ms"]
    assert "blocks, converged" in lines["measured in"]
    assert lines["temperature"].endswith("°C")


def test_progress_is_on_standard_error_and_can_be_turned_off(command: Command, exported: Path) -> None:
    assert "measuring" in command("measure", exported, *SHORT).err
    assert command("measure", exported, *SHORT, "--quiet").err == ""


@pytest.mark.parametrize("major", ["10", "11"])
def test_like_trtexec_prints_its_summary(command: Command, exported: Path, major: str) -> None:
    shown = command("measure", exported, *SHORT, "--like-trtexec", major)
    assert shown.code == 0
    said = [line.partition(" = ")[0] for line in shown.out.splitlines()]
    assert said[2:5] == ["[I]", "[I] === Performance summary ===", said[4]]
    assert re.fullmatch(r"\[I\] Throughput: [\d.e+]+ qps", said[4])
    assert said[0].startswith("[I] Warmup completed ")
    assert "left out" in shown.err


def test_measure_prints_what_its_document_says(command: Command, exported: Path) -> None:
    printed = command("measure", exported, *SHORT, "--json").out
    assert msgspec.json.decode(printed, type=MeasuredEngine).about == "trial 0 of tiny"
    apart = Block(np.ones(4), 1.0, 0.0, telemetry={"enqueue_ms": 0.25})
    for one in (document(measured(four()), 10), document(measured(apart), None)):
        assert msgspec.json.decode(dump(one), type=MeasuredEngine) == one
