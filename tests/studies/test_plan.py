"""What is settled before trial 0; files, shapes and functions are tested more closely below `engines`."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest

from engines.errors import UserError
from engines.isolation import Worker
from engines.protocol import Opened
from engines.values import Dimension, Machine, Policy, Workload
from engines.workspace import Workspace
from examples import models
from studies.naming import differences
from studies.plan import Question, Request, ShapeRequest, settle, specify
from studies.records import Constraint, Objective, StudySpec
from tests.workloads import tiny_conv

TASK = """
import numpy as np

def batches():
    for seed in range(3):
        yield {"x": np.random.default_rng(seed).normal(size=(2, 3, 12, 12)).astype(np.float32)}

def other():
    yield from batches()

def accuracy(inputs, outputs):
    return 0.5

def loss(inputs, outputs):
    return 0.5
"""
CALIBRATED = ("int8", "fp8", "weak_int8_fp16")
SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int4", "weak_fp16", *CALIBRATED), "fp32", "type"),
    Dimension("calibration", "graph", ("minmax",), "minmax", "method", applies_to={"precision": CALIBRATED}),
)
Ask = Callable[..., Question]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, where the command runs, with a model, functions, inputs, outputs and calibration data."""
    monkeypatch.chdir(tmp_path)
    tiny_conv(tmp_path)
    (tmp_path / "task.py").write_text(TASK)
    images = np.random.default_rng(1).normal(size=(4, 3, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=images)
    np.savez(tmp_path / "more.npz", x=2 * images)
    np.savez(tmp_path / "right.npz", y=np.ones((4, 5), np.float32))
    np.savez(tmp_path / "wrong.npz", y=np.zeros((4, 5), np.float32))
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "0.npy", images)
    return tmp_path


def _request(folder: Path, **changes: Any) -> Request:
    usual = Request(
        model=folder / "tiny.onnx",
        backend="fake",
        objectives=(),
        constraints=(),
        shapes=ShapeRequest(),
        inputs=None,
        precision=None,
        fixed=(),
        seed=0,
        policy=Policy(),
    )
    return replace(usual, **changes)


@pytest.fixture
def ask(here: Path) -> Ask:
    return lambda **changes: settle(_request(here, **changes), Workspace(here / "w"))


@dataclass(frozen=True)
class Started:
    """A worker that has been opened, of a backend with every kind of precision."""

    dimensions: tuple[Dimension, ...] = SPACE

    def open(self) -> Opened:
        return Opened(Machine("gpu", "a GPU", 1, 2**30, "Linux"), self.dimensions, ("the GPU is hot",))


def _specified(question: Question) -> tuple[StudySpec, tuple[str, ...]]:
    return specify(question, cast("Worker", Started()))


# what ranges are taken from


def test_without_calibration_data_it_is_the_inputs(ask: Ask) -> None:
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
    assert found.path == str(here / "data.npz")


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
        ("task:", "names no function"),
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
def test_that_ranges_are_those_of_random_data_is_said_where_any_are_taken(
    ask: Ask, changes: dict[str, Any], said: list[str]
) -> None:
    _, notes = _specified(ask(**changes))
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
        ({"metrics": ("task",)}, "'task' names no function"),
        ({"metrics": ("gone:accuracy",)}, "there is no module 'gone'"),
        ({"metrics": ("a b=task:accuracy",)}, "'a b' is no name for a metric"),
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
    assert found.path == "right.npz"
    with pytest.raises(UserError, match="--reference needs --inputs"):
        ask(reference=Path("right.npz"))
    with pytest.raises(UserError, match="no array for the output 'y'"):
        ask(inputs=Path("data.npz"), reference=Path("data.npz"))


# nodes kept in FP32


@pytest.mark.parametrize("pattern", ["conv", "c*", "Conv", "Mat*", "[!x]*"])
def test_patterns_of_nodes_are_taken_by_name_and_operator(ask: Ask, pattern: str) -> None:
    assert ask(keep_fp32=(pattern,)).workload.keep_fp32 == (pattern,)


def test_a_pattern_that_matches_nothing_is_a_slip(ask: Ask) -> None:
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


# static graphs


def test_overridden_inputs_are_static_and_have_no_batch_to_search(ask: Ask) -> None:
    workload = ask(override_shapes=("x:4x3x12x12",)).workload
    assert workload.override_shapes == {"x": (4, 3, 12, 12)}
    assert workload.model.inputs[0].shape == (4, 3, 12, 12)
    assert workload.model.outputs[0].shape == (4, 5)
    assert (workload.batch, workload.batched_inputs) == (4, ())
    assert workload.shapes["x"].optimum == (4, 3, 12, 12)
    assert workload.model.digest == ask().workload.model.digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"override_shapes": ("z:1x3x12x12",)}, "no input 'z'"),
        ({"override_shapes": ("x:3x12x12",)}, "has 4 dimensions, not 3"),
        ({"override_shapes": ("x:1x4x12x12",)}, "fixed to 3, not 4"),
        ({"override_shapes": ("x:0x3x12x12",)}, "a dimension below 1"),
        ({"override_shapes": ("x",)}, "cannot read the shape 'x'"),
        ({"override_shapes": ("x:1x3x12x12", "x:2x3x12x12")}, "given twice"),
        (
            {"override_shapes": ("x:4x3x12x12",), "shapes": ShapeRequest(("x:2x3x12x12",))},
            "fixed to 4, not 2",
        ),
        (
            {"override_shapes": ("x:4x3x12x12",), "shapes": ShapeRequest(maximum=("x:8x3x12x12",))},
            "fixed to 4, not 8",
        ),
    ],
    ids=str,
)
def test_overrides_that_the_model_cannot_take_are_refused(
    ask: Ask, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        ask(**changes)


def test_inputs_that_share_a_dimension_cannot_be_made_static_apart(here: Path) -> None:
    models.save("mixed_types", here)
    shapes = ("features:2x16", "categories:4x4")
    with pytest.raises(UserError, match="batch"):
        settle(_request(here, model=here / "mixed_types.onnx", override_shapes=shapes), Workspace(here / "w"))


# what one study is

OPTIONS: dict[str, Any] = {
    "inputs": Path("data.npz"),
    "calibration": "task:batches",
    "reference": Path("right.npz"),
    "metrics": ("task:accuracy",),
    "keep_fp32": ("conv", "MatMul"),
    "override_shapes": ("x:4x3x12x12",),
}


def test_the_same_options_are_the_same_study(ask: Ask) -> None:
    first, _ = _specified(ask(**OPTIONS))
    reordered = {**OPTIONS, "keep_fp32": ("MatMul", "conv"), "calibration": "task.py:batches"}
    second, _ = _specified(ask(**reordered))
    assert differences(first, second) == {}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"calibration": "data.npz"}, "calibration data"),
        ({"calibration": "task:other"}, "calibration data"),
        ({"calibration": None}, "calibration data"),
        ({"reference": Path("wrong.npz")}, "reference"),
        ({"reference": None}, "reference"),
        ({"metrics": ("task:loss",)}, "set of metrics"),
        ({"metrics": ("task:accuracy:minimize",)}, "set of metrics"),
        ({"metrics": ()}, "set of metrics"),
        ({"keep_fp32": ("conv",)}, "set of nodes kept in FP32"),
        ({"keep_fp32": ()}, "set of nodes kept in FP32"),
    ],
    ids=str,
)
def test_with_another_of_them_it_is_another_study(ask: Ask, change: dict[str, Any], what: str) -> None:
    first, _ = _specified(ask(**OPTIONS))
    second, _ = _specified(ask(**{**OPTIONS, **change}))
    assert set(differences(first, second)) == {what}
    assert set(differences(second, first)) == {what}


def test_with_another_override_it_is_another_study(ask: Ask) -> None:
    workloads: list[Workload] = []
    specs = []
    for shapes in (("x:4x3x12x12",), ()):
        question = ask(override_shapes=shapes, shapes=ShapeRequest(("x:4x3x12x12",)))
        workloads.append(question.workload)
        specs.append(_specified(question)[0])
    assert workloads[0].shapes == workloads[1].shapes
    assert "shape override" in differences(*specs)


def test_a_function_that_was_changed_since_makes_another_study(ask: Ask, here: Path) -> None:
    first, _ = _specified(ask(**OPTIONS))
    (here / "task.py").write_text(TASK.replace("return 0.5", "return 0.75"))
    second, _ = _specified(ask(**OPTIONS))
    assert set(differences(first, second)) == {"calibration data", "set of metrics"}
