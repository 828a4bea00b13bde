"""What is settled before trial 0; files, shapes and functions are tested more closely below `engines`."""

import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from engines.core.errors import UserError
from engines.core.values import Policy
from studies.core.records import Constraint, Objective
from tests.studies.planned import Ask, specified

# what ranges are taken from


def test_calibration_data_defaults_to_the_inputs(ask: Ask) -> None:
    assert ask().workload.calibration is None


@pytest.mark.parametrize("source", ["data.npz", "images", "task:batches", "task.py:batches"])
def test_calibration_is_a_file_a_folder_or_a_function(ask: Ask, source: str) -> None:
    found = ask(calibration=source).workload.calibration
    assert found is not None
    assert not found.is_random
    assert found.digest
    assert (found.function is not None) == (":" in source)


def test_data_is_looked_for_where_the_command_runs(ask: Ask, here: Path, tmp_path: Path) -> None:
    found = ask(calibration="data.npz").workload.calibration
    assert found is not None
    assert found.file is not None
    assert found.file.path == here / "data.npz"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "--calibration names no data"),
        (" ", "--calibration names no data"),
        ("gone.npz", "no such file"),
        ("task.py", "not an npz file"),
        ("right.npz", "no input 'y'|no array for the input 'x'"),
        ("w", "no such file|no npy files"),
        ("gone:batches", "there is no module 'gone'"),
        ("task:", "does not name a function"),
    ],
)
def test_what_is_no_calibration_data_is_refused(ask: Ask, source: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask(calibration=source)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["fp8", "int8", "weak_int8_fp16"]),
        ({"precision": "int8"}, ["int8"]),
        ({"precision": "fp8,fp32"}, ["fp8"]),
        ({"precision": "weak_int8_fp16"}, ["weak_int8_fp16"]),
        ({"precision": "fp32,fp16,int4,weak_fp16"}, []),
        ({"calibration": "data.npz"}, []),
        ({"calibration": "task:batches"}, []),
        ({"inputs": Path("data.npz")}, []),
    ],
    ids=str,
)
def test_note_says_that_calibration_ranges_come_from_random_data(
    ask: Ask, changes: dict[str, Any], said: list[str]
) -> None:
    _, notes = specified(ask(**changes))
    about = [note for note in notes if "calibrated with random data" in note]
    named = [re.split(" is | are ", note)[0].split(" and ") for note in about]
    assert named == ([said] if said else [])
    assert notes[-1] == "the GPU is hot"


# the user's own metrics


def test_a_metric_of_ones_own_can_be_objective_and_constraint(ask: Ask) -> None:
    question = ask(
        metrics=("task:accuracy", "cost=task.py:loss:minimize"),
        objectives=("accuracy", "cost"),
        constraints=("accuracy>=0.97",),
    )
    assert question.objectives == (Objective("accuracy", "maximize"), Objective("cost", "minimize"))
    assert question.constraints == (Constraint("accuracy", ">=", 0.97),), "it limits what is right"
    assert [(one.name, one.better) for one in question.workload.metrics] == [
        ("accuracy", "maximize"),
        ("cost", "minimize"),
    ]


def test_a_metric_that_is_only_looked_at_limits_nothing(ask: Ask) -> None:
    question = ask(metrics=("task:accuracy",), constraints=("latency_ms<=5",))
    assert Constraint("error", "<=", 0.01) in question.constraints


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": ("error=task:accuracy",)}, "there is a metric named 'error' already"),
        ({"metrics": ("task:loss", "loss=task:accuracy")}, "there is a metric named 'loss' already"),
        ({"metrics": ("task",)}, "'task' does not name a function"),
        ({"metrics": ("gone:accuracy",)}, "there is no module 'gone'"),
        ({"metrics": ("a b=task:accuracy",)}, "'a b' is not a valid name for a metric"),
        ({"objectives": ("accuracy",)}, "unknown metric 'accuracy' in the objective"),
        ({"metrics": ("task:accuracy",), "constraints": ("accuracys>=1",)}, "unknown metric 'accuracys'"),
    ],
    ids=str,
)
def test_metrics_that_make_no_sense_are_refused(ask: Ask, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask(**changes)


# right outputs


def test_right_outputs_belong_to_inputs(ask: Ask) -> None:
    found = ask(inputs=Path("data.npz"), reference=Path("right.npz")).workload.expected
    assert found is not None
    assert found.file is not None
    assert found.file.where == "right.npz"
    with pytest.raises(UserError, match="--reference needs --inputs"):
        ask(reference=Path("right.npz"))
    with pytest.raises(UserError, match="no array for the output 'y'"):
        ask(inputs=Path("data.npz"), reference=Path("data.npz"))


# nodes kept in FP32


@pytest.mark.parametrize("pattern", ["conv", "c*", "Conv", "Mat*", "[!x]*"])
def test_patterns_of_nodes_are_taken_by_name_and_operator(ask: Ask, pattern: str) -> None:
    assert ask(keep_fp32=(pattern,)).workload.keep_fp32 == (pattern,)


def test_pattern_that_matches_no_node_raises_user_error(ask: Ask) -> None:
    with pytest.raises(UserError) as refused:
        ask(keep_fp32=("Conv", "LayerNorm*"))
    assert refused.value.message == "--keep-fp32 'LayerNorm*' matches no node and no operator of the model"
    assert refused.value.hint == (
        "Write a name or a pattern such as 'LayerNorm*'; its operators: "
        "Conv, Flatten, GlobalAveragePool, MatMul, Relu."
    )


@pytest.mark.parametrize("pattern", ["", "conv2", "CONV", "node:conv"])
def test_what_is_only_like_a_name_matches_nothing(ask: Ask, pattern: str) -> None:
    with pytest.raises(UserError, match="matches no node"):
        ask(keep_fp32=(pattern,))


def test_nodes_without_a_name_go_by_the_one_that_they_get(ask: Ask, here: Path) -> None:
    model = onnx.load(here / "tiny.onnx")
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, here / "tiny.onnx")
    assert ask(keep_fp32=("MatMul_4",)).workload.keep_fp32 == ("MatMul_4",)


# how engines are timed


def test_what_a_policy_times_is_kept_and_options_add_to_it(ask: Ask) -> None:
    usual = ask().backend.policy
    assert (usual.cold, usual.transfers) == (False, False)
    given = ask(policy=Policy(warmup_seconds=0.1, cold=True), transfers=True).backend.policy
    assert (given.warmup_seconds, given.cold, given.transfers) == (0.1, True, True)
