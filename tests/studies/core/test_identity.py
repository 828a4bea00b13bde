from dataclasses import replace

import pytest

from engines.core.values import InputSource, TaskMetric, Workload
from engines.core.wire import digest
from studies.core.identity import chosen, evaluation_key, workload_identity
from studies.core.records import StudySpec
from tests.workloads import file_at

METRIC = TaskMetric("accuracy", "task:accuracy", "maximize", file_at("/here", "ab"))
CALIBRATION = InputSource(file=file_at("/data/c.npz", "cd"))
BY_FUNCTION = InputSource(file=file_at("/here", "ef"), function="task:batches")


def _identity(workload: Workload) -> str:
    return digest(workload_identity(workload))


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": CALIBRATION},
        {"expected": InputSource(file=file_at("/data/right.npz", "12"))},
        {"metrics": (METRIC,)},
        {"keep_fp32": ("conv*",)},
        {"override_shapes": {"x": (1, 3, 8)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_results_is_part_of_the_identity(
    study_spec: StudySpec, change: dict[str, object]
) -> None:
    changed = replace(study_spec.workload, **change)  # type: ignore[arg-type]
    assert _identity(changed) != _identity(study_spec.workload)
    other = replace(study_spec, workload=changed)
    candidate = study_spec.baseline
    assert evaluation_key(other, candidate) != evaluation_key(study_spec, candidate)
    assert len(chosen(changed)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (METRIC, replace(METRIC, file=file_at("/here", "xy"))),
        (METRIC, replace(METRIC, name="top")),
        (METRIC, replace(METRIC, better="minimize")),
        (METRIC, replace(METRIC, function="task:other")),
    ],
)
def test_another_metric_is_another_identity(
    study_spec: StudySpec, one: TaskMetric, other: TaskMetric
) -> None:
    first, second = (replace(study_spec.workload, metrics=(metric,)) for metric in (one, other))
    assert _identity(first) != _identity(second)


def test_identity_does_not_depend_on_file_paths(study_spec: StudySpec) -> None:
    here = replace(study_spec.workload, metrics=(METRIC,), calibration=BY_FUNCTION)
    moved = replace(METRIC, file=file_at("/there", "ab"), function="../task.py:accuracy")
    source = replace(BY_FUNCTION, file=file_at("/there", "ef"), function="task.py:batches")
    there = replace(study_spec.workload, metrics=(moved,), calibration=source)
    assert _identity(here) == _identity(there)


def test_identity_omits_options_left_at_their_defaults(study_spec: StudySpec) -> None:
    assert chosen(study_spec.workload) == {}
