"""Graphs that NVIDIA ModelOpt lowers instead, by a stand-in for the other Python."""

import json
from pathlib import Path

import onnx
import pytest

from engines.core.errors import EngineError
from engines.graphs import dimensions
from engines.graphs.passes import modelopt, qdq, selection
from engines.graphs.passes.half_precision import lower
from examples import models
from tests.engines.graphs.other_python import WRITES, other_python
from tests.engines.graphs.recipes import ON_CPU, ON_GPU, Maker, by_name


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Python that writes down what it is asked and answers with answer.onnx."""
    folder = tmp_path / "other"
    folder.mkdir()
    monkeypatch.setenv(modelopt.VARIABLE, other_python(folder, WRITES).python)
    return folder


def _asked(folder: Path) -> list[str]:
    arguments: list[str] = json.loads((folder / "call-0.json").read_bytes())["arguments"]
    return arguments


def test_modelopt_may_lower_instead_where_it_is_there(mlp: Maker, stand_in: Path) -> None:
    found = by_name(dimensions.dimensions(ON_GPU, mlp.workload))["converter"]
    assert found.choices == ("builtin", "modelopt")
    assert found.applies_to == {"precision": ON_GPU.lowered}
    assert "converter" not in by_name(dimensions.dimensions(ON_CPU, mlp.workload))
    assert mlp.key("int8", converter="modelopt") != mlp.key("int8")


def test_modelopt_gets_kept_nodes_and_calibration_method(mlp: Maker, stand_in: Path) -> None:
    ranges = {site.tensor: 1.0 for site in selection.sites(models.mlp(), "int8")}
    answer = qdq.insert_qdq(models.mlp(), "int8", ranges, frozenset())
    onnx.save(answer, stand_in / "answer.onnx")
    graph, kept = mlp.graph("int8", converter="modelopt", calibration="entropy", keep_fp32=1)
    assert graph == answer
    assert kept == set(mlp.ranked("int8")[:1])
    asked = _asked(stand_in)
    assert asked[asked.index("--quantize_mode") + 1] == "int8"
    assert asked[asked.index("--calibration_method") + 1] == "entropy"
    assert asked[asked.index("--nodes_to_exclude") + 1] == f"^{next(iter(kept))}$"
    assert "--calibration_data_path" in asked


def test_modelopt_casts_by_a_tool_of_its_own(mlp: Maker, stand_in: Path) -> None:
    onnx.save(lower(models.mlp(), "fp16", frozenset()), stand_in / "answer.onnx")
    graph, _ = mlp.graph("fp16", converter="modelopt")
    assert graph == onnx.load(stand_in / "answer.onnx")
    assert _asked(stand_in)[:2] == ["-m", "modelopt.onnx.autocast"]


def test_modelopt_that_went_away_is_a_failed_candidate(mlp: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelopt, "find", lambda: None)
    with pytest.raises(EngineError, match="is no longer installed"):
        mlp.graph("int8", converter="modelopt")
