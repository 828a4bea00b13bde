"""The whole product on the real ONNX Runtime, with few trials and short measurements."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

import tuner
from engines.core.values import Workload
from examples import models
from tests.command import Command
from tests.worker_threads import workers_in_threads
from tests.workloads import QUICK

REAL = ("--backend", "onnxruntime")
# what does not matter to a test
PLAIN = ("simplify=none", "graph_optimization_level=all", "execution_mode=sequential")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuner.Result:
    """A search of the example CNN over precision and levels, with one thread."""
    folder = tmp_path_factory.mktemp("real")
    with workers_in_threads():
        return tuner.search(
            models.save("residual_cnn", folder),
            backend="onnxruntime",
            trials=8,
            constraints="error<=0.05",
            shapes="images:2x3x64x64",
            fix=(
                "simplify=none",
                "keep_fp32=0",
                "calibration=minmax",
                "graph_optimization_level=basic,all",
                "allow_spinning=false",
                "execution_mode=sequential",
                "intra_op_threads=0,1",
            ),
            workspace=folder / "w",
            policy=QUICK,
            self_test=0,
            finalists=0,
        )


def _session(engine: Path, settings: dict[str, Any]) -> ort.InferenceSession:
    """The exported engine, loaded as the guide says."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = settings["intra_op_threads"]
    return ort.InferenceSession(str(engine), options, providers=["CPUExecutionProvider"])


def _outputs(session: ort.InferenceSession, workload: Workload, seed: int) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    inputs = {
        facts.name: random.normal(size=workload.plan.ranges[facts.name].optimum).astype(np.float32)
        for facts in workload.model.inputs
    }
    outputs: np.ndarray[Any, Any] = session.run(None, inputs)[0]
    return outputs


def test_every_precision_is_built_checked_and_measured(result: tuner.Result) -> None:
    trials = result.trials
    assert set(trials["precision"]) >= {"fp32", "int8"}
    assert not (trials["state"] == "failed").any()
    assert (trials.loc[trials["precision"] == "fp32", "error"] < 1e-4).all()
    assert (trials.loc[trials["precision"] == "int8", "error"] > 1e-4).all()
    assert (trials["throughput"] > 0).all()
    assert trials.loc[0, "precision"] == "fp32"


def test_an_engine_is_built_once_for_all_its_run_settings(result: tuner.Result) -> None:
    made: dict[object, str] = {}
    for trial in result.study.trials:
        key = (trial.candidate.graph, trial.candidate.build)
        assert trial.engine is not None
        assert made.setdefault(key, trial.engine.digest) == trial.engine.digest
    assert len(list(result.workspace.engines.iterdir())) == len(made) < len(result.study.trials)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_exported_engine_runs_by_itself_and_gives_the_right_answers(
    result: tuner.Result, tmp_path: Path, precision: str
) -> None:
    feasible = [trial for trial in result.study.trials if trial.state == "feasible"]
    trial = next(trial for trial in feasible if trial.candidate.graph["precision"] == precision)
    folder = result.export(tmp_path / "out", trial.number)
    evidence = json.loads((folder / "evidence.json").read_text())
    workload = result.study.spec.workload
    original = ort.InferenceSession(workload.model.file.where, providers=["CPUExecutionProvider"])
    exported = _session(folder / "engine.onnx", evidence["trial"]["settings"])
    expected = _outputs(original, workload, seed=123)
    error = np.linalg.norm(_outputs(exported, workload, seed=123) - expected) / np.linalg.norm(expected)
    assert error < max(0.1, 3 * evidence["trial"]["metrics"]["error"]["value"])


@pytest.mark.processes
def test_the_command_from_the_model_to_the_engine(command: Command, tmp_path: Path) -> None:
    model = models.save("mlp", tmp_path)
    few = ("--trials", 2, "--precision", "fp32", "--self-test", 0)
    ended = command("search", model, *REAL, *few, "--output", "out")
    assert ended.code == 0
    assert "trial 1: " in ended.err
    assert (tmp_path / "out/engine/engine.onnx").is_file()
    assert (tmp_path / "out/report.html").is_file()
    document = command("show", "--json").document
    assert document["machine"]["libraries"] == {"onnxruntime": ort.__version__}
    log = command("show", "--trial", 0).out
    assert "\x1b" not in log


def test_every_example_model_has_a_baseline(tmp_path: Path) -> None:
    for name in ("transformer", "mixed_types"):
        result = tuner.search(
            models.save(name, tmp_path),
            backend="onnxruntime",
            trials=2,
            precision="int8",
            fix=("calibration=minmax", "keep_fp32=0"),
            constraints="error<=1",
            workspace=tmp_path / "w",
            policy=QUICK,
            self_test=0,
            finalists=0,
        )
        assert [trial.state for trial in result.study.trials] == ["feasible", "feasible"]


def test_throughput_searches_batch_and_streams_for_real(tmp_path: Path) -> None:
    result = tuner.search(
        models.save("mlp", tmp_path),
        backend="onnxruntime",
        objectives="throughput",
        exhaustive=True,
        precision="fp32",
        fix=("allow_spinning=false", "intra_op_threads=1", "batch=1,8", "streams=1,2", *PLAIN),
        workspace=tmp_path / "w",
        policy=QUICK,
        self_test=0,
        finalists=0,
    )
    trials = result.trials
    assert trials["batch"].nunique() > 1
    assert trials["streams"].nunique() > 1
    assert result.best is not None
    assert result.best.metrics["throughput"].value == trials["throughput"].max()


def test_inputs_of_ones_own_for_a_dynamic_batch(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", features=np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32))
    result = tuner.search(
        models.save("mlp", tmp_path),
        backend="onnxruntime",
        inputs=tmp_path / "data.npz",
        shapes="features:2x64",
        trials=1,
        workspace=tmp_path / "w",
        policy=QUICK,
        self_test=0,
        finalists=0,
    )
    assert result.baseline is not None
    assert result.baseline.accuracy is not None
    assert result.baseline.accuracy.samples == 6, "three batches of two, the last filled up"


def test_a_model_whose_answers_change_from_run_to_run_has_no_feasible_trial(
    command: Command, tmp_path: Path
) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["r"]),
        helper.make_node("Add", ["x", "r"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "m.onnx",
    )
    ended = command("search", "m.onnx", *REAL, "--trials", 1)
    assert ended.code == 3
    assert "misses error<=0.01" in ended.out
