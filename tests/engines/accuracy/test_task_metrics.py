from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.accuracy.task_metrics import given_to_metrics, joined, reference_scores, scores, worse
from engines.core.errors import EngineError, UserError
from engines.core.values import TaskMetric, Tensors, Workload
from engines.data.inputs import check_inputs_file, make_inputs
from engines.data.user_functions import load_function, parse_metric
from tests.workloads import file_at, tiny_conv, workload_of

SAMPLES = 5


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    load_function.cache_clear()
    yield
    load_function.cache_clear()


def _workload(folder: Path, program: str = "", **extra: np.ndarray) -> Workload:
    """Five samples in batches of two, with a metric whose body is the program."""
    images = np.random.default_rng(0).normal(size=(SAMPLES, 3, 12, 12)).astype(np.float32)
    np.savez(folder / "data.npz", x=images, **extra)  # type: ignore[arg-type]
    (folder / "task.py").write_text(
        f"import numpy as np\ndef metric(inputs, outputs):\n    {program or 'pass'}\n"
    )
    workload = workload_of(tiny_conv(folder), x=(2, 3, 12, 12))
    source = check_inputs_file(
        workload.model, workload.plan.ranges, workload.batched_inputs, folder / "data.npz", extras=True
    )
    return replace(workload, inputs=source, metrics=(parse_metric("task.py:metric", folder),))


def _outputs(batches: int = 3) -> list[Tensors]:
    return [
        {"y": np.arange(10 * one, 10 * one + 10, dtype=np.float32).reshape(2, 5)} for one in range(batches)
    ]


def test_a_function_gets_each_sample_once_with_its_labels(tmp_path: Path) -> None:
    program = (
        "assert inputs['labels'].tolist() == [0, 1, 2, 3, 4]; return len(outputs['y']) + outputs['y'][-1, 0]"
    )
    workload = _workload(tmp_path, program, labels=np.arange(SAMPLES))
    given = given_to_metrics(workload, make_inputs(workload, 2))
    assert given["x"].shape == (SAMPLES, 3, 12, 12)
    assert scores(workload, given, _outputs()) == {"metric": 5 + 20.0}


def test_random_inputs_are_joined(tmp_path: Path) -> None:
    workload = workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))
    batches = make_inputs(workload, 2)
    given = given_to_metrics(workload, batches)
    np.testing.assert_array_equal(given["x"], np.concatenate([batch["x"] for batch in batches]))


def test_scalars_become_one_value_a_batch() -> None:
    assert joined([{"loss": np.array(value)} for value in (1.0, 2.0)])["loss"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("program", ["return np.float32(0.5)", "return np.array([0.5])", "return 0.5"])
def test_numbers_of_any_kind_are_taken(tmp_path: Path, program: str) -> None:
    workload = _workload(tmp_path, program)
    given = given_to_metrics(workload, [])
    assert scores(workload, given, _outputs()) == {"metric": 0.5}


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ValueError('no\\n labels')", "raised ValueError: no labels (line 3 of task.py)"),
        ("return inputs['labels']", "raised KeyError: 'labels' (line 3 of task.py)"),
        ("outputs['y'][:] = 0", "read-only (line 3 of task.py)"),
        ("inputs['x'] /= 2", "read-only (line 3 of task.py)"),
        ("raise SystemExit(2)", "raised SystemExit: 2"),
        ("return None", "returned None, which is not a finite number"),
        ("return float('nan')", "returned nan, which is not a finite number"),
        ("return '0.5'", "returned '0.5', which is not a finite number"),
        ("return np.zeros(1000)", "returned array([0., 0., "),
        ("return [[1], [1, 2]]", "returned [[1], [1, 2]], which is not a finite number"),
    ],
)
def test_a_mistake_in_a_function_is_said_in_one_line(tmp_path: Path, program: str, message: str) -> None:
    workload = _workload(tmp_path, program)
    given = given_to_metrics(workload, [])
    with pytest.raises(EngineError) as caught:
        scores(workload, given, _outputs())
    assert caught.value.kind == "wrong_output"
    assert message in caught.value.message
    assert "\n" not in str(caught.value)
    assert "task.py:metric" in caught.value.message
    with pytest.raises(UserError):
        reference_scores(workload, given, _outputs())


def test_worse_score_depends_on_the_direction() -> None:
    metrics = [
        TaskMetric("f1", "t:f", "maximize", file_at("", "")),
        TaskMetric("loss", "t:l", "minimize", file_at("", "")),
    ]
    found = worse(metrics, {"f1": 0.9, "loss": 0.1}, {"f1": 0.5, "loss": 0.2})
    assert found == {"f1": 0.5, "loss": 0.2}
    assert worse([], {}, {}) == {}
