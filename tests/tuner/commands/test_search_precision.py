"""What a search is told of data, metrics, right outputs and nodes to keep: by the command and for real."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import tuner
from engines.graphs.passes import qdq, selection
from examples import models
from studies.core.records import TrialRecord
from studies.storage.storage import open_storage
from tests.command import Command
from tests.workloads import QUICK

REAL = ("--backend", "onnxruntime")
SAMPLES = 40
TASK = """
import numpy as np

def narrow():
    yield {"features": np.full((4, 64), 1e-3, np.float32)}

def raising():
    raise ValueError("no data today")
    yield

def misfit():
    yield {"features": np.zeros((4, 63), np.float32)}

def share(inputs, outputs):
    return np.mean(outputs["logits"].argmax(axis=1) == inputs["labels"])

def broken(inputs, outputs):
    return outputs["scores"]
"""


@pytest.fixture
def mlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example, with functions, inputs and their labels, right outputs and narrow data beside it."""
    monkeypatch.chdir(tmp_path)
    path = models.save("mlp", tmp_path)
    features = np.random.default_rng(0).normal(size=(SAMPLES, 64)).astype(np.float32)
    logits = ort.InferenceSession(path).run(None, {"features": features})[0]
    np.savez(tmp_path / "data.npz", features=features)
    np.savez(tmp_path / "labelled.npz", features=features, labels=logits.argmax(axis=1))
    np.savez(tmp_path / "right.npz", logits=logits)
    np.savez(tmp_path / "wrong.npz", logits=logits + 1)
    narrow = np.full((4, 64), 1e-3, np.float32)
    np.savez(tmp_path / "narrow.npz", features=narrow)
    (tmp_path / "narrow").mkdir()
    np.save(tmp_path / "narrow" / "0.npy", narrow)
    (tmp_path / "task.py").write_text(TASK)
    yield path
    # loaded by a worker that was a thread
    sys.modules.pop("task", None)


def _trials(model: Path, **options: Any) -> Sequence[TrialRecord]:
    """Of a short search on ONNX Runtime."""
    usual = {
        "precision": "int8",
        "trials": 2,
        "inputs": "data.npz",
        "shapes": "features:8x64",
        "fix": ("calibration=minmax", "keep_fp32=0", "simplify=none", "graph_optimization_level=all"),
    }
    result = tuner.search(
        model, backend="onnxruntime", policy=QUICK, self_test=0, finalists=0, **{**usual, **options}
    )
    return result.study.trials


def _error(trial: TrialRecord) -> float:
    assert trial.accuracy is not None
    return trial.accuracy.error


# for real


@pytest.mark.parametrize("source", ["narrow.npz", "narrow", "task:narrow"])
def test_ranges_are_those_of_the_calibration_data(mlp: Path, source: str) -> None:
    """Data that hardly differs from zero gives ranges in which nothing else fits."""
    baseline, lowered = _trials(mlp, calibration=source)
    assert _error(baseline) < 1e-5
    assert _error(lowered) > 0.5


def test_a_metric_of_ones_own_is_objective_and_limit(mlp: Path) -> None:
    baseline, lowered = _trials(
        mlp,
        inputs="labelled.npz",
        metrics="task:share",
        objectives=("latency_ms", "share"),
        constraints="share>=0.99",
        calibration="narrow.npz",
    )
    assert baseline.state == "feasible"
    assert baseline.metrics["share"].value == 1.0
    assert lowered.state == "infeasible"
    assert lowered.metrics["share"].value < 0.99
    assert set(lowered.violations) == {"share>=0.99"}, "no limit on the error besides"


@pytest.mark.parametrize(("reference", "is_right"), [("right.npz", True), ("wrong.npz", False)])
def test_outputs_are_held_to_those_that_are_given(mlp: Path, reference: str, is_right: bool) -> None:
    (baseline,) = _trials(mlp, reference=reference, trials=1, precision="fp32")
    assert (_error(baseline) < 1e-5) == is_right
    assert baseline.state == ("feasible" if is_right else "infeasible")


def test_nodes_that_are_named_are_kept_and_cost_less_accuracy(mlp: Path) -> None:
    _, lowered = _trials(mlp, constraints="error<=1")
    _, kept = _trials(mlp, constraints="error<=1", keep_fp32=("Gemm_[02]", "Relu"))
    assert kept.evaluation.graph is not None
    assert kept.evaluation.graph.facts["kept_fp32"] == "Gemm_0\nGemm_2\nRelu_1\nRelu_3"
    assert 0 < _error(kept) < _error(lowered)


def test_an_overridden_shape_is_that_of_the_engine(mlp: Path, tmp_path: Path) -> None:
    result = tuner.search(
        mlp,
        backend="onnxruntime",
        override_shapes="features:4x64",
        trials=1,
        policy=QUICK,
        self_test=0,
        finalists=0,
    )
    folder = result.export(tmp_path / "out")
    session = ort.InferenceSession(folder / "engine.onnx")
    assert [one.shape for one in (*session.get_inputs(), *session.get_outputs())] == [[4, 64], [4, 10]]
    batch = next(one for one in result.study.spec.space if one.name == "batch")
    assert batch.choices == (4,)


def test_a_model_that_arrived_quantized_is_measured_as_it_is(command: Command, mlp: Path) -> None:
    model = onnx.load(mlp)
    ranges = {site.tensor: 10.0 for site in selection.sites(model, "int8")}
    onnx.save(qdq.insert_qdq(model, "int8", ranges, frozenset()), mlp)
    (baseline,) = _trials(mlp, trials=1, precision="given", fix=())
    assert baseline.state == "feasible"
    assert baseline.candidate.graph["precision"] == "given"
    said = command("search", mlp, *REAL, "--precision", "int8").complaint
    assert said == (
        "precision=int8 is not in the space: the model is quantized already and is kept as it is. "
        "It can be given."
    )


# what is said before the first trial


@pytest.mark.parametrize(
    ("options", "is_said"),
    [
        ((), True),
        (("--precision", "int8"), True),
        (("--precision", "fp32,int4"), False),
        (("--inputs", "labelled.npz", "--metric", "task:share"), False),
        (("--calibration", "narrow.npz"), False),
        (("--calibration", "task:narrow"), False),
    ],
    ids=str,
)
def test_that_ranges_are_those_of_random_data_is_said(
    command: Command, mlp: Path, options: tuple[str, ...], is_said: bool
) -> None:
    ended = command("search", mlp, *REAL, "--dry-run", *options)
    assert ended.code == 0
    note = "note: int8 is calibrated with random data: with real data its errors may be larger or smaller"
    assert ended.err.count(note) == is_said
    assert ended.err.count("calibrated") == is_said


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("fp8", "precision=fp8 is not in the space: ONNX Runtime's CPU provider has no kernels for it."),
        ("bf16", "precision=bf16 is not in the space: ONNX Runtime's CPU provider has no kernels for it."),
        (
            "int4",
            "precision=int4 is not in the space: it is for the weights of products, and of those the model "
            "has 1.",
        ),
    ],
)
def test_a_precision_that_is_not_there_is_refused_with_the_reason(
    command: Command, mlp: Path, tmp_path: Path, precision: str, said: str
) -> None:
    model = models.save("residual_cnn", tmp_path)
    assert command("search", model, *REAL, "--precision", precision).complaint.startswith(said)


WRONG: list[tuple[list[str], str]] = [
    (["--calibration", "gone.npz"], "no such file: "),
    (["--calibration", ""], "--calibration names no data"),
    (["--calibration", "right.npz"], "the model has no input 'logits'|has no array for the input 'features'"),
    (["--calibration", "gone:narrow"], "there is no module 'gone' in "),
    (["--calibration", "task:gone"], r"task\.py has no function 'gone'"),
    (["--calibration", "task:raising"], "raised ValueError: no data today"),
    (["--calibration", "task:misfit"], "task:misfit"),
    (["--metric", "share"], "'share' does not name a function"),
    (["--metric", "error=task:share"], "there is a metric named 'error' already"),
    (["--metric", "task:gone"], r"task\.py has no function 'gone'"),
    (["--metric", "task:broken"], r"raised KeyError: 'scores'"),
    (["--metric", "task:share", "--inputs", "data.npz"], "raised KeyError: 'labels'"),
    (["--objective", "share"], "unknown metric 'share' in the objective"),
    (["--metric", "task:share", "--constraint", "shares>=1"], "Did you mean share"),
    (["--reference", "right.npz"], "--reference needs --inputs"),
    (["--reference", "gone.npz", "--inputs", "data.npz"], "no such file: "),
    (["--reference", "narrow.npz", "--inputs", "narrow.npz"], "has no array for the output 'logits'"),
    (["--inputs", "labelled.npz"], "no input 'labels'"),
    (["--keep-fp32", "LayerNorm*"], r"--keep-fp32 'LayerNorm\*' matches no node and no operator"),
    (["--keep-fp32", ""], "--keep-fp32 '' matches no node"),
    (["--override-shape", "feature:1x64"], "no input 'feature'. Did you mean 'features'"),
    (["--override-shape", "features:1x1x64"], "has 2 dimensions, not 3"),
    (["--override-shape", "features:1x63"], "fixed to 64, not 63"),
    (["--override-shape", "features:4x64", "--shapes", "features:2x64"], "fixed to 4, not 2"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=[" ".join(options) for options, _ in WRONG])
def test_wrong_use_is_one_line_and_leaves_no_study(
    command: Command, mlp: Path, options: list[str], said: str
) -> None:
    complaint = command("search", mlp, *REAL, "-q", *options).complaint
    assert re.search(said, complaint), complaint
    with open_storage(".tuner/studies.db") as storage:
        assert storage.study_names() == ()


# which study is gone on with

SHORT = ("--trials", 1, "--self-test", 0)
OPTIONS = {
    "--inputs": "labelled.npz",
    "--reference": "right.npz",
    "--metric": "task:share",
    "--calibration": "narrow.npz",
    "--keep-fp32": "Gemm_0",
}


def test_the_same_options_go_on_and_others_are_another_study(command: Command, mlp: Path) -> None:
    def search(study: str | None = None, **changes: str) -> Any:
        options = [part for pair in {**OPTIONS, **changes}.items() for part in pair]
        named = ["--study", study] if study else []
        return command("search", mlp, *REAL, *SHORT, *options, *named)

    first = search()
    assert first.code == 0
    assert "study mlp: " in first.err
    assert "Nothing was left to do: mlp has its 1 trial" in search().out
    others = {
        "--calibration": ("task:narrow", "calibration data"),
        "--keep-fp32": ("Gemm_2", "set of nodes kept in FP32"),
    }
    for option, (value, what) in others.items():
        said = search("mlp", **{option: value}).complaint
        assert said.startswith("the study 'mlp' belongs to another ")
        assert what in said
